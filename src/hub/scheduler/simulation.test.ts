/**
 * Ten thousand machines of uneven speed, driven by the very scheduler under a clock of its own: answers take as long as
 * the machine that got them needs. Compared with sending each request to the machine with the fewest.
 */
import { expect, test } from 'vitest'
import { aModel, FakeNode } from '../../../test/hub/fake-node.ts'
import { anAnswer, startScheduler } from '../../../test/hub/stand-in-scheduler.ts'
import type { Claim } from './scheduler.ts'

const machines = 10_000
const requests = 6_000
const answerTokens = 100
const slots = 4

/** Numbers that are the same in every run. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

interface Machine {
  tokS: number
  freeAtS: number[]
}

/** Seconds until an answer that comes now is whole: the first free slot, then decoding. */
function serve(machine: Machine, nowS: number): number {
  machine.freeAtS.sort((a, b) => a - b)
  const beginS = Math.max(nowS, machine.freeAtS[0]!)
  machine.freeAtS[0] = beginS + answerTokens / machine.tokS
  return machine.freeAtS[0] - nowS
}

function fleet(): Machine[] {
  const next = random(7)
  // From a laptop's processor to a fast card: 3 to 200 tokens per second, few of the fast ones.
  return Array.from({ length: machines }, () => ({
    tokS: 3 * (200 / 3) ** (next() ** 3),
    freeAtS: new Array<number>(slots).fill(0),
  }))
}

test('uneven machines answer earlier than when each request goes where the fewest are', () => {
  const speeds = fleet()
  const nodes = speeds.map((machine, index) => {
    const node = new FakeNode('http://127.0.0.1:1', [aModel('m')], `n${index}`, `n${index}`)
    const { running, ...state } = node.state()
    // What each node remembers of its last answer is how a hub that was just started knows them.
    const told = { ...state, running: running.map((one) => ({ ...one, decodeTokS: machine.tokS })) }
    node.state = () => told
    return node
  })
  const { choose, scheduler, clock } = startScheduler(nodes, 'effort', 10)
  const byId = new Map(nodes.map((node, index) => [node.id, index]))
  const arrivals = Array.from({ length: requests }, (_, index) => index * 0.02)

  const ends: { atS: number; claim: Claim; tokS: number }[] = []
  const startS = clock.now() / 1000
  let predicted = 0
  for (const atS of arrivals) {
    clock.advance((startS + atS) * 1000 - clock.now())
    for (let at = ends.length - 1; at >= 0; at--) {
      const end = ends[at]!
      if (end.atS > atS) continue
      ends.splice(at, 1)
      scheduler.over(end.claim, anAnswer({ decodeTokS: end.tokS, completionTokens: answerTokens }))
    }
    const claim = scheduler.claim(choose('m', { maxTokens: answerTokens }))
    const machine = speeds[byId.get(claim.choice.node.id)!]!
    const tookS = serve(machine, atS)
    predicted += tookS
    ends.push({ atS: atS + tookS, claim, tokS: machine.tokS })
  }

  const others = fleet()
  let leastBusy = 0
  for (const atS of arrivals) {
    const busy = (machine: Machine) => machine.freeAtS.filter((freeS) => freeS > atS).length
    let best = others[0]!
    let least = busy(best)
    for (const machine of others) {
      if (least === 0) break
      const count = busy(machine)
      if (count < least) [best, least] = [machine, count]
    }
    leastBusy += serve(best, atS)
    // The one that was just served goes to the end, so that idle ones take turns.
    others.splice(others.indexOf(best), 1)
    others.push(best)
  }
  expect(predicted / requests).toBeLessThan((leastBusy / requests) * 0.25)
}, 120_000)
