/** A scheduler over nodes in memory and a fake clock, for tests that need no server. */
import { FakeClock } from '../../src/core/clock.ts'
import { silentLog } from '../../src/core/log.ts'
import { Catalogue, type CatalogueState } from '../../src/hub/catalogue/catalogue.ts'
import type { AnswerRecord } from '../../src/hub/gateway/answer-record.ts'
import { type Demand, nothingMore } from '../../src/hub/scheduler/demand.ts'
import { type Choice, type LevelPolicy, Scheduler } from '../../src/hub/scheduler/scheduler.ts'
import type { Lane } from '../../src/protocol/lane.ts'
import type { NodeHandle } from '../../src/protocol/node.ts'

export interface Bench {
  clock: FakeClock
  catalogue: Catalogue
  scheduler: Scheduler
  choose(model: string, demand?: Partial<Demand>, lane?: Lane, passed?: ReadonlySet<string>): Choice
}

export function startScheduler(
  nodes: readonly NodeHandle[],
  level: LevelPolicy = 'effort',
  remember = 100,
  clock = new FakeClock(1_000_000),
): Bench {
  let state: CatalogueState = { mode: 'open', offers: [], rules: [] }
  const book = {
    curated: async () => 'no' as const,
    read: async () => state,
    write: async (next: CatalogueState) => {
      state = next
    },
  }
  const catalogue = new Catalogue({ nodes, book, clock, log: silentLog })
  for (const node of nodes) node.subscribe(() => catalogue.index.changed(node))
  const scheduler = new Scheduler({ catalogue, clock, level, remember })
  let count = 0
  return {
    clock,
    catalogue,
    scheduler,
    choose: (model, demand = {}, lane = 'production', passed) =>
      scheduler.choose({
        id: `req-${++count}`,
        model,
        lane,
        demand: { ...nothingMore, bytes: 400, maxTokens: 100, ...demand },
        passed,
      }),
  }
}

export function anAnswer(more: Partial<AnswerRecord> = {}): AnswerRecord {
  return {
    requestId: 'req', time: 0, endpoint: 'chat', model: 'm', node: 'n', engine: 'fake', status: 200, error: null,
    stream: true, promptTokens: 100, cachedTokens: 0, completionTokens: 100, exactTokens: true, queueMs: 0,
    ttftMs: 100, durationMs: 1_000, prefillTokS: null, decodeTokS: null, retries: 0, keyId: null,
    ...more,
  } as AnswerRecord // biome-ignore format: a list of fields
}
