import { expect, test } from 'vitest'
import { links, quants } from '../facts/index.ts'
import { readRequest } from './request.ts'
import { isStatedLink, isStatedQuant } from './stated-names.ts'

test('every link of the facts is one that can be stated', () => {
  for (const link of links)
    expect([link.id, isStatedLink(link.id) || readable(link.id)]).toEqual([link.id, true])
  for (const words of ['tb5-rdma', '10GbE', '50GbE TCP', 'Wi-Fi 6', 'eth-2.5g', 'Thunderbolt 5']) {
    expect([words, isStatedLink(words)]).toEqual([words, true])
  }
})

/** Ids are looked up before words are read. */
const readable = (id: string) => readRequest({ model: 'llama-3.1-8b', link: id }).link !== null

test('usual quants can be stated, and every one of the files of the facts', () => {
  for (const name of [
    'Q4_K_M',
    'q8_0',
    'UD-Q4_K_XL',
    'IQ4_XS',
    '4bit',
    'MLX 8bit',
    '4bit g32',
    'MXFP4',
    'bf16',
    'AWQ',
    'Q4',
    'Q2',
  ]) {
    expect([name, isStatedQuant(name)]).toEqual([name, true])
  }
  const files = quants
    .filter((quant) => quant.id.startsWith('FILE_'))
    .map((quant) => quant.id.slice(5).replace(/^DEEPSEEK_R1_671B_/, ''))
  expect(files.filter((name) => !isStatedQuant(name))).toEqual([])
})

test.each([
  [{ quant: 'Q4_K_Q' }, 'No quant called "Q4_K_Q"'],
  [{ link: 'tb5-rmda' }, 'No link called "tb5-rmda"'],
  [{ model: 'dense:-3b' }, '"dense:-3b" is no size'],
  [{ model: 'dense:0b' }, '"dense:0b" is no size'],
  [{ model: 'moe:235b' }, '"moe:235b" is no size'],
])('a typing error is refused by name: %o', (part, message) => {
  expect(() => readRequest({ model: 'llama-3.1-8b', ...part })).toThrow(message)
})
