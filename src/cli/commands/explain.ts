import type { Command } from 'commander'
import { formatSeconds } from '../../core/units.ts'
import type { ExplainedCandidate, ExplainedChoice, ExplainResponse } from '../../protocol/explain.ts'
import type { Printer } from '../printer.ts'
import type { Shell } from '../shell.ts'

/** `holon explain`: why a request went where it went, and how the prediction compares with what happened. */
export function registerExplain(program: Command, shell: Shell): void {
  program
    .command('explain <request-id>')
    .description('Say why a request went where it went, what was predicted, and what came of it.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, hub }, id: string) => {
        const path = `/fleet/v1/requests/${encodeURIComponent(id)}`
        const explained = await hub().get<ExplainResponse>(path)
        if (printer.json) printer.document(explained)
        else tell(printer, explained)
        return 0
      }),
    )
}

function tell(printer: Printer, explained: ExplainResponse): void {
  const { asked, lane, level, outcome, compared } = explained
  printer.line(`Asked for ${printer.strong(asked)} on the lane ${lane}, which promises ${promise(level)}.`)
  for (const choice of explained.choices) tellChoice(printer, choice, lane)
  if (outcome === null) {
    printer.line('\nIt is still under way, or was refused before it reached a model.')
    return
  }
  const end = outcome.error === null ? `ended well (${outcome.status})` : `ended with ${outcome.error}`
  printer.line(`\nIt ${end} on ${outcome.node} with ${outcome.model}. Predicted and measured:`)
  printer.table(
    ['', 'predicted', 'measured', 'unit'],
    compared.map(({ what, unit, predicted, measured }) => [what, figure(predicted), figure(measured), unit]),
  )
}

function promise({ firstTokenS, decodeTokS }: ExplainResponse['level']): string {
  const said = [
    firstTokenS === null ? null : `the first token within ${firstTokenS} s`,
    decodeTokS === null ? null : `${decodeTokS} tokens/s`,
  ].filter((part) => part !== null)
  return said.length === 0 ? 'no speed' : said.join(' and ')
}

function tellChoice(printer: Printer, choice: ExplainedChoice, lane: string): void {
  const { tier, considered, keepsLevel, movedOn, candidates } = choice
  printer.line()
  if (tier !== null) printer.line(`It became ${tier.became}. ${tier.why}`)
  printer.line(
    `${considered} ${considered === 1 ? 'placement' : 'placements'} could answer; the level of ${lane} is ${keepsLevel ? 'kept' : 'not kept'} by the one chosen.`,
  )
  printer.table(
    ['', 'node', 'model', 'state', 'finish', 'wait', 'load', 'prefill', 'decode', 'cached', 'from'],
    candidates.map(toRow),
  )
  for (const { node, model, why, chosen } of candidates)
    printer.line(`${mark(chosen)} ${node}, ${model}: ${why}`)
  if (movedOn) printer.line('It could not be answered there, and was given to another:')
}

const mark = (chosen: boolean): string => (chosen ? '*' : '-')

function toRow({ node, model, chosen, state, background, predicted, basis }: ExplainedCandidate): string[] {
  const { finishS, waitS, loadS, evictS, prefillS, decodeS, cachedTokens, promptTokens } = predicted
  return [
    mark(chosen),
    node,
    model,
    background ? `${state}, background` : state,
    formatSeconds(finishS),
    formatSeconds(waitS),
    formatSeconds(loadS + evictS),
    formatSeconds(prefillS),
    formatSeconds(decodeS),
    `${Math.round(cachedTokens)} of ${Math.round(promptTokens)}`,
    basis.prefill === basis.decode ? basis.decode : `${basis.prefill}/${basis.decode}`,
  ]
}

const figure = (value: number): string => (value >= 100 ? String(Math.round(value)) : value.toPrecision(3))
