/** Which model to load before it is asked for, pure: into free memory only, one at a time. */
import type { SupervisorConfig } from './effects.ts'
import { fitPlan } from './fit-memory.ts'
import type { Slot } from './slot.ts'
import type { Warmth } from './warmth.ts'

/** @returns null while anything else is being loaded, and when there is nothing to do */
export function chooseAhead(
  slots: readonly Slot[],
  warmth: Warmth,
  { memoryBudgetBytes, defaults }: SupervisorConfig,
  hasRoom: (needBytes: number) => boolean,
): Slot | null {
  const wanted = slots.filter(
    (slot) => (slot.state === 'absent' || slot.state === 'failed') && warmth.wanted(slot),
  )
  wanted.sort((a, b) => warmth.urgency(b) - warmth.urgency(a))
  for (const slot of wanted) {
    try {
      if (hasRoom(fitPlan(slot.facts, slot.wish, defaults, memoryBudgetBytes()).needBytes)) return slot
    } catch {
      // It is too big for this machine, which whoever asks for it is told.
    }
  }
  return null
}
