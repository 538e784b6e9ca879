/** A hub with keys, for tests that ask as their holders and manage as the owner. */
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest'
import type { CreateKeyResponse } from '../../src/protocol/keys.ts'
import { type Stand, startStand } from './start-hub.ts'

export const owner = 'the-owners-own-long-secret'
export const path = '/v1/chat/completions'
/** The hub of the test that runs now. */
export let stand: Stand
/** One for all that can share it: making a database takes seconds. */
let shared: Stand

/** Call it once in each file of tests. */
export function shareStand(): void {
  beforeAll(async () => {
    shared = await startStand({ apiKey: owner })
  })
  beforeEach(() => {
    stand = shared
  })
  afterEach(() => (stand === shared ? undefined : stand.stop()))
  afterAll(() => shared.stop())
}

/** A hub for this test alone. */
export async function start(...[config, ...more]: Parameters<typeof startStand>): Promise<void> {
  stand = await startStand({ apiKey: owner, ...config }, ...more)
}

export const as = (key: string, more: Record<string, string> = {}): RequestInit => ({
  headers: { 'content-type': 'application/json', authorization: `Bearer ${key}`, ...more },
})

export async function make(wish: object, key = owner): Promise<CreateKeyResponse> {
  const response = await stand.post('/fleet/v1/keys', wish, as(key))
  expect(response.status).toBe(200)
  return (await response.json()) as CreateKeyResponse
}

export async function manage<T>(pathOf: string, body?: object): Promise<T> {
  const response =
    body === undefined
      ? await fetch(stand.url + pathOf, as(owner))
      : await stand.post(pathOf, body, as(owner))
  return (await response.json()) as T
}
