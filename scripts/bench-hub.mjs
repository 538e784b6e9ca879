// Starts a hub with one node in front of the given origin, for the bench of the hub's own cost, which may not import
// the hub. Argument 1: origin of the engine. Argument 2: "books" to open the database before anything is measured. Everything the hub does for a real node is on: checks, routing, admission,
// metering, metrics, the usage journal.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { reportToBench } from '../dist/bench/hub-overhead/told.js'
import { systemClock } from '../dist/core/clock.js'
import { silentLog } from '../dist/core/log.js'
import { createHub } from '../dist/hub/index.js'

const origin = process.argv[2]
const parameters = new Set(['max_tokens', 'temperature', 'stream_options'])
const died = new Promise(() => undefined)
const model = {
  id: 'bench',
  path: '/bench.gguf',
  source: 'bench',
  format: 'gguf',
  architecture: 'llama',
  name: 'bench',
  quant: null,
  paramsTotal: null,
  sizeBytes: 0,
  contextMax: null,
  embedding: false,
  demo: false,
  problem: null,
  state: 'ready',
  progress: null,
  failure: null,
}
const state = {
  id: 'bench',
  name: 'bench',
  state: 'ready',
  profile: null,
  engines: ['bench'],
  models: [model],
  running: [],
  memory: { budgetBytes: 0, usedBytes: 0 },
}
const node = {
  id: 'bench',
  name: 'bench',
  state: () => state,
  subscribe: () => () => undefined,
  acquire: async () => ({
    model: 'bench',
    engine: 'bench',
    origin,
    headers: {},
    parameters,
    parallel: 1024,
    died,
    release: () => undefined,
  }),
  load: async () => undefined,
  unload: async () => undefined,
}
const home = mkdtempSync(join(tmpdir(), 'holon-bench-'))
const config = { host: '127.0.0.1', port: 0, version: 'bench', home }
const hub = createHub({ config, nodes: [node], clock: systemClock, log: silentLog })
const { url } = await hub.listen()
if (process.argv[3] === 'books') await (await fetch(`${url}/fleet/v1/usage`)).text()
reportToBench(url, async () => {
  await hub.close(100)
  rmSync(home, { recursive: true, force: true })
  process.exit(0)
})
