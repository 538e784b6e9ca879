/** Where the beginning of a prompt is probably still in an engine's cache. Pure. */
import type { Demand } from './demand.ts'
import type { Gauge } from './gauge.ts'
import type { Gauges } from './gauges.ts'
import { charsOfBlock, PrefixMemory, type SeenAt } from './prefix-memory.ts'

/** An engine keeps the prompts of so many requests per slot, with what it sets aside. */
const requestsPerSlot = 16

export class PrefixAffinity {
  private readonly memory = new PrefixMemory()
  private readonly gauges: Gauges
  private mark = 0
  /** Of what is looked up now: characters for a block, tokens for a session. */
  private chars = 0

  constructor(gauges: Gauges) {
    this.gauges = gauges
  }

  /** Notes in the gauges how many tokens of this prompt each has cached. @returns the mark they were noted under */
  markFor(demand: Demand): number {
    this.mark++
    for (let block = 0; block < demand.blocks.length; block++) {
      this.chars = charsOfBlock(block)
      this.memory.look(demand.blocks[block]!, this.take)
    }
    this.chars = 0
    if (demand.session !== 0) this.memory.look(demand.session, this.take)
    return this.mark
  }

  /** The request goes there. */
  sent(demand: Demand, gauge: Gauge, promptTokens: number): void {
    const { at, served } = gauge
    for (const block of demand.blocks) this.memory.note(block, at, served, 0)
    this.noteSession(demand, gauge, promptTokens)
  }

  /** @param tokens of prompt and answer together, which the next turn begins with */
  noteSession({ session }: Demand, { at, served }: Gauge, tokens: number): void {
    if (session !== 0) this.memory.note(session, at, served, Math.round(tokens))
  }

  private readonly take = ({ gauge: place, served, value }: SeenAt): void => {
    const gauge = this.gauges.at(place)
    if (gauge === undefined || served <= gauge.cachedFrom) return
    if (gauge.served - served > gauge.get('slots') * requestsPerSlot) return
    const tokens = (this.chars > 0 ? this.chars * gauge.usual.tokensPerByte : value) * gauge.cacheHit
    if (gauge.get('mark') === this.mark && gauge.get('markTokens') >= tokens) return
    gauge.set('mark', this.mark)
    gauge.set('markTokens', tokens)
  }
}
