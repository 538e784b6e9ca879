import { expect, it } from 'vitest'
import { chooseEngines } from './choose-engine.ts'

const engine = (id: string, available: boolean) => ({
  id,
  available,
  version: null,
  path: null,
  url: null,
  models: [],
  whyNot: available ? null : `${id} is missing.`,
  hint: null,
})
const choose = (
  found: ReturnType<typeof engine>[],
  wished: string | null = null,
  preferred: string | null = null,
) =>
  chooseEngines(found, { wished, preferred, fetchable: new Set(['embedded']) }).map(
    ({ id, install }) => `${id}${install ? '+install' : ''}`,
  )

it('tries what is here in the order of preference, then what may be fetched', () => {
  expect(choose([engine('llama-server', true), engine('embedded', true)])).toEqual([
    'llama-server',
    'embedded',
  ])
  expect(choose([engine('embedded', false), engine('llama-server', true)])).toEqual([
    'llama-server',
    'embedded+install',
  ])
  expect(choose([engine('llama-server', false), engine('embedded', false)])).toEqual(['embedded+install'])
})

it('puts the preferred engine first, also when it must be fetched', () => {
  expect(choose([engine('llama-server', true), engine('embedded', false)], null, 'embedded')).toEqual([
    'embedded+install',
    'llama-server',
  ])
})

it('takes a wish literally, and says why it cannot be granted', () => {
  expect(choose([engine('a', true), engine('b', true)], 'b')).toEqual(['b'])
  expect(() => choose([engine('a', true), engine('b', false)], 'b')).toThrow('b is missing.')
  expect(() => choose([engine('a', true)], 'c')).toThrow('There is no engine "c".')
  expect(() => choose([engine('a', false)])).toThrow('a: a is missing.')
})
