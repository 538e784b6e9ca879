/** What goes into the journal comes out of the embedded database as it was. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { silentLog } from '../../src/core/log.ts'
import { usageLine } from '../../src/hub/store/rows.ts'
import { Store } from '../../src/hub/store/store.ts'
import { aRecord } from './records.ts'

let home: string
let store: Store
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'holon-books-'))
  store = new Store({ home, databaseUrl: undefined, clock: systemClock, log: silentLog })
})
afterEach(async () => {
  await store.close()
  await rm(home, { recursive: true, force: true })
})

test('every figure of an answer and of an event is found again', async () => {
  await store.start()
  const time = Date.UTC(2026, 1, 3, 4, 5, 6, 789)
  store.record(aRecord({ time, model: 'a "b" \\ ü', error: 'engine_failed', ttftMs: null, keyId: 'key_1' }))
  store.event('model.failed', { model: 'm', why: ['x', null] })
  await store.load()
  const [row] = await store.use((db) => db.selectFrom('usage').selectAll().execute())
  expect(row).toEqual({
    id: `${store.life}_0`,
    time: new Date(time),
    request_id: 'req_1',
    endpoint: 'chat',
    model: 'a "b" \\ ü',
    node: 'node-1',
    engine: 'fake',
    status: 200,
    error: 'engine_failed',
    stream: true,
    prompt_tokens: 7,
    cached_tokens: 3,
    completion_tokens: 4,
    exact_tokens: true,
    queue_ms: 0.5,
    ttft_ms: null,
    duration_ms: 40,
    prefill_tok_s: 400,
    decode_tok_s: 100,
    retries: 0,
    key_id: 'key_1',
  })
  const [event] = await store.history()
  expect(event).toMatchObject({ type: 'model.failed', data: { model: 'm', why: ['x', null] } })
}, 60_000)

test('lines that the database refuses hold up no others', async () => {
  const good = ['a', 'b', 'c', 'd', 'e'].map((id) => usageLine(id, aRecord()))
  const tornAtABrace = '{"usage":"torn","model":{}'
  const without = '{"usage":"empty","time":1}'
  const nul = usageLine('nul', aRecord({ model: 'a\u0000b' }))
  const lines = [good[0], tornAtABrace, good[1], without, good[2], good[0], nul, good[3], good[4]]
  const journal = join(home, 'store/journal')
  await mkdir(journal, { recursive: true })
  await writeFile(join(journal, '0-a-000000.ndjson'), `${lines.join('\n')}\n`)
  await store.start()
  expect(await store.usage()).toMatchObject([{ model: 'tiny', requests: 5 }])
  expect(await readdir(journal)).toEqual([])
}, 60_000)
