// One life of a store, to be killed: records rows as fast as a busy hub and says on stdout how many it has recorded, and
// how many of them are on disk for certain.
// Usage: node store-life.mjs <dist folder> <home> [loadMs]
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [dist, home, loadMs = '40'] = process.argv.slice(2)
const load = (path) => import(pathToFileURL(join(dist, path)).href)
const { Store } = await load('hub/store/store.js')
const { systemClock } = await load('core/clock.js')
const nothing = () => undefined
const log = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: (fields, message) => console.error(message, fields),
}
const store = new Store({
  home,
  databaseUrl: process.env.DATABASE_URL,
  clock: systemClock,
  log,
  loadMs: Number(loadMs),
  loadLines: 50,
})
let recorded = 0
// Whatever stood in the journal before this began is on disk when it is over.
const { journal } = store
const write = journal.write.bind(journal)
journal.write = async () => {
  const before = recorded
  await write()
  process.stdout.write(`disk ${before}\n`)
}
await store.start()
setInterval(() => {
  for (let row = 0; row < 5; row++) {
    store.record({
      requestId: `r${recorded}`,
      time: Date.now(),
      endpoint: 'chat',
      model: 'tiny',
      node: 'node-1',
      engine: 'fake',
      status: 200,
      error: null,
      stream: false,
      promptTokens: 1,
      cachedTokens: 0,
      completionTokens: 1,
      exactTokens: true,
      queueMs: 0.5,
      ttftMs: null,
      durationMs: 2.5,
      prefillTokS: null,
      decodeTokS: 12.5,
      retries: 0,
    })
    recorded++
  }
  process.stdout.write(`said ${recorded}\n`)
}, 5)
