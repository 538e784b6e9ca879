import { expect, it } from 'vitest'
import { parsePs, parseTasklist, residentMemory } from './process-memory.ts'

it('knows the memory of this very process, by the way of this system and by ps', async () => {
  for (const platform of [process.platform, 'darwin'] as const) {
    const figures = await residentMemory([process.pid, 2 ** 30], platform)
    expect(figures.get(process.pid)).toBeGreaterThan(20e6)
    expect(figures.size).toBe(1)
  }
})

it('reads what ps and tasklist print', () => {
  expect(parsePs('  123  2048\n 45 1\n')).toEqual(
    new Map([
      [123, 2_097_152],
      [45, 1024],
    ]),
  )
  const printed =
    '"System Idle Process","0","Services","0","8 K"\r\n"node.exe","4321","Console","1","56,784 K"\r\n'
  expect(parseTasklist(printed, [4321])).toEqual(new Map([[4321, 58_146_816]]))
})

it('asks nobody about nothing', async () => {
  expect(await residentMemory([])).toEqual(new Map())
})
