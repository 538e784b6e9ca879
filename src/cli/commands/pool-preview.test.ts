import { expect, test } from 'vitest'
import type { LinkView, PoolPreview, PreviewPlacement } from '../../protocol/pools.ts'
import { createPrinter } from '../printer.ts'
import { shownLinks } from './pool-links.ts'
import { namesOf } from './pool-names.ts'
import { printPreview } from './pool-preview.ts'

const nothing = { expected: 0, low: 0, high: 0 }
const placement = (
  engine: PreviewPlacement['engine'],
  nodes: string[],
  whyNot: string | null,
): PreviewPlacement => ({
  ...{ id: `${engine}:${nodes.join('+')}`, engine, strategy: 'pipeline', head: nodes[0] ?? '' },
  ...{ fits: whyNot === null, whyNot },
  members: nodes.map((node) => ({ node, layers: 4, share: 0.5, memory: null })),
  ...{ link: null, contextTokens: 2048 },
  decodeTokS: whyNot === null ? { expected: 12.3, low: 8.4, high: 15 } : nothing,
  ...{ prefillTokS: nothing, ttftS: { ...nothing, expected: 1.8 }, basis: 'modelled', modelSource: '' },
  ...{ loadS: 4, loadHow: 'the head reads the file', whenAMemberDies: [], because: [], losesBecause: whyNot },
})

function read(preview: Omit<PoolPreview, 'model' | 'unknowns'>): string {
  let text = ''
  const stdout = { write: (more: string) => (text += more) }
  const printer = createPrinter({ stdout, stderr: stdout, env: { NO_COLOR: '1' } }, false)
  printPreview(printer, { model: 'wide', unknowns: [], ...preview })
  return text
}

test('where nothing fits there is no table of dashes, and what several have against them is said once', () => {
  const none = 'None of these machines has wide.'
  const placements = [
    placement('llama-rpc', ['oak', 'elm'], none),
    placement('mlx', ['oak', 'elm'], none),
    placement('solo', ['oak'], 'oak is 53 MB short.'),
  ]
  expect(read({ placements, recommended: null })).toBe(`No: wide cannot be placed on these machines.

Why not:
- oak + elm (llama-rpc), oak + elm (mlx): None of these machines has wide.
- oak (solo): oak is 53 MB short.
`)
})

test('many placements with the same against them are counted, not listed', () => {
  const pairs = [
    ['oak', 'elm'],
    ['oak', 'ash'],
    ['elm', 'ash'],
  ]
  const placements = (['llama-rpc', 'mlx'] as const).flatMap((engine) =>
    pairs.map((pair) => placement(engine, pair, 'None of these machines has wide.')),
  )
  expect(read({ placements, recommended: null })).toContain(
    '- 6 placements (llama-rpc, mlx): None of these machines has wide.',
  )
})

test('what fits is compared, and what does not is told below', () => {
  const best = placement('llama-rpc', ['oak', 'elm'], null)
  const placements = [best, placement('solo', ['oak'], 'oak is 53 MB short.')]
  const text = read({ placements, recommended: best.id })
  expect(text).toMatch(
    /^Yes: wide on oak \+ elm with llama-rpc, 12 \(8\.4 to 15\) tok\/s, loaded in about 4\.0 s\.\n/,
  )
  expect(text).toMatch(/\nplacement .*\noak \+ elm +llama-rpc +pipeline .*\n\nMemory with 2048/)
  expect(text).toContain('\nWhy not:\n- oak (solo): oak is 53 MB short.\n')
})

test('an empty list of machines is a mistake, not the wish for none', () => {
  expect(namesOf(' oak, elm,')).toEqual(['oak', 'elm'])
  for (const text of ['', ' , ']) expect(() => namesOf(text)).toThrow('--nodes names no machine.')
})

test('links are those between the machines that were named, in the order of their names', () => {
  const link = (from: string, to: string) => ({ from, to }) as LinkView
  const all = [link('oak', 'elm'), link('elm', 'oak'), link('ash', 'oak')]
  const pairs = (nodes?: string[]) => shownLinks(all, nodes).map(({ from, to }) => `${from} ${to}`)
  expect(pairs()).toEqual(['ash oak', 'elm oak', 'oak elm'])
  expect(pairs(['oak', 'elm'])).toEqual(['elm oak', 'oak elm'])
  expect(pairs(['elm'])).toEqual(['elm oak', 'oak elm'])
  expect(pairs(['nobody'])).toEqual([])
})
