import { expect, test } from 'vitest'
import { HubKey, type HubKeyState } from './hub-key.ts'
import { MemoryStorage } from './memory-storage.ts'

function stand(right: string | null) {
  const seen: (string | null)[] = []
  const storage = new MemoryStorage()
  const call = async (_: unknown, init?: RequestInit) => {
    const key = new Headers(init?.headers).get('authorization')
    seen.push(key)
    return new Response(null, { status: right === null || key === `Bearer ${right}` ? 200 : 401 })
  }
  const open = () => new HubKey(storage, call)
  return { seen, open }
}

function watch(key: HubKey): HubKeyState[] {
  const states: HubKeyState[] = []
  key.subscribe((state) => states.push(state))
  return states
}

test('a hub without keys is never asked with one', async () => {
  const { open, seen } = stand(null)
  const key = open()
  const states = watch(key)
  await key.fetch('/x', { headers: { accept: 'a' } })
  expect(seen).toEqual([null])
  expect(states).toEqual([{ wanted: false, wrong: false, given: false }])
})

test('a key is asked for when it is needed, again when it is wrong, and kept when it is right', async () => {
  const { open, seen } = stand('hk_right')
  const key = open()
  const states = watch(key)
  await key.fetch('/x')
  key.use('hk_wrong')
  await key.fetch('/x')
  key.use('  hk_right\n')
  await key.fetch('/x')
  expect(states.slice(1)).toEqual([
    { wanted: true, wrong: false, given: false },
    { wanted: true, wrong: true, given: true },
    { wanted: false, wrong: false, given: true },
  ])
  const again = open()
  await again.fetch('/x')
  expect(seen.at(-1)).toBe('Bearer hk_right')
})
