import { expect, it } from 'vitest'
import { chooseQuant, quantOfName, type RemoteFile, remoteModels } from './choose-quant.ts'

const files = (...paths: string[]): RemoteFile[] =>
  paths.map((path, index) => ({ path, sizeBytes: (index + 1) * 1e9, sha256: null }))

it('reads the quant from a file name in the usual spelling', () => {
  expect(quantOfName('Qwen2.5-7B-Instruct-Q4_K_M.gguf')).toBe('Q4_K_M')
  expect(quantOfName('qwen2.5-0.5b-instruct-q4_0.gguf')).toBe('Q4_0')
  expect(quantOfName('UD-Q4_K_XL/M-UD-Q4_K_XL-00001-of-00003.gguf')).toBe('UD-Q4_K_XL')
  expect(quantOfName('gpt-oss-20b-mxfp4.gguf')).toBe('MXFP4')
  expect(quantOfName('Model-IQ3_XXS.gguf')).toBe('IQ3_XXS')
  expect(quantOfName('model.BF16.gguf')).toBe('BF16')
  expect(quantOfName('model.gguf')).toBeNull()
})

it('prefers Q4_K_M and says what else there is', () => {
  const choice = chooseQuant('o/r', remoteModels(files('M-Q2_K.gguf', 'M-Q8_0.gguf', 'M-Q4_K_M.gguf')), null)
  expect(choice.quant).toBe('Q4_K_M')
  expect(choice.because).toMatch(/Q4_K_M \(3\.00 GB\) was chosen of 3; append :QUANT.*Q2_K.*Q8_0/)
})

it('takes the quant that was asked for, in any case, and lists the choices when there is none', () => {
  const models = remoteModels(files('M-Q2_K.gguf', 'M-Q8_0.gguf'))
  expect(chooseQuant('o/r', models, 'q8_0').files[0]?.path).toBe('M-Q8_0.gguf')
  expect(() => chooseQuant('o/r', models, 'Q5_K_M')).toThrow(
    'o/r has no quant Q5_K_M. It has: Q2_K (1.00 GB), Q8_0 (2.00 GB).',
  )
})

it('keeps the files of a split together and leaves out what is no model', () => {
  const models = remoteModels(
    files(
      'mmproj-F16.gguf',
      'README.md',
      'M-Q8_0-00002-of-00002.gguf',
      'M-Q8_0-00001-of-00002.gguf',
      'N-Q8_0-00001-of-00003.gguf',
    ),
  )
  expect(models.length).toBe(1)
  expect(models[0]?.files.map((file) => file.path)).toEqual([
    'M-Q8_0-00001-of-00002.gguf',
    'M-Q8_0-00002-of-00002.gguf',
  ])
  expect(() => chooseQuant('o/r', [], null)).toThrow('holds no GGUF')
})
