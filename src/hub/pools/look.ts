/** Asks members what they bring, all at once and in bounded time. What they answer is checked as a stranger's word. */
import { asHolonError } from '../../core/errors.ts'
import type { Candidate } from '../../pool/preview/member.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import { type MemberFacts, memberFacts, type PoolEngineId } from '../../protocol/pool.ts'

const withinMs = 20_000

export interface Look {
  engine: PoolEngineId
  /** How this node calls the model. */
  modelOn(node: NodeHandle): string
  /** Bytes on it that the pool in question holds itself. */
  ownBytes(node: NodeHandle): number
  /** How quick its answers showed it to be; left out where no speed is planned. */
  paceOf?(node: NodeHandle): Candidate['pace']
}

/** Never rejects: a member that says nothing is a candidate with the reason. */
export function lookAt(nodes: readonly NodeHandle[], look: Look): Promise<Candidate[]> {
  return Promise.all(
    nodes.map(async (node) => {
      const base = {
        ...{ node: node.id, name: node.name, state: node.state(), ownBytes: look.ownBytes(node) },
        pace: look.paceOf?.(node) ?? null,
      }
      try {
        return { ...base, facts: await inspect(node, look), silence: null }
      } catch (thrown) {
        return { ...base, facts: null, silence: asHolonError(thrown).message }
      }
    }),
  )
}

async function inspect(node: NodeHandle, { engine, modelOn }: Look): Promise<MemberFacts> {
  if (!node.pool) throw new Error('it is of a kind that cannot take part in pools.')
  let stop: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    stop = setTimeout(() => reject(new Error('it did not answer in time.')), withinMs)
  })
  try {
    const told = await Promise.race([node.pool.inspect({ engine, model: modelOn(node) }), late])
    const checked = memberFacts.safeParse(told)
    if (checked.success) return checked.data
    const issue = checked.error.issues[0]
    throw new Error(`what it said is not right: ${issue?.path.join('.')}: ${issue?.message}.`)
  } finally {
    clearTimeout(stop)
  }
}
