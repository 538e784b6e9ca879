#!/usr/bin/env node
/**
 * One member of a pool as a program of its own, for tests in which members are machines: it opens and starts one part
 * from the built Holon, as an agent would, and does what it is told by lines of JSON on stdin. It ends with stdin.
 *
 *   node pool-part-program.mjs HOME     {"open":SPEC} {"start":PEERS} {"chat":BODY} {"stop":true}
 *   says                                {"listening":…} {"ready":true} {"answer":…} {"stopped":true} {"died":…} {"error":…}
 */
import { createInterface } from 'node:readline'
import { homeAt } from '../../dist/core/home.js'
import { silentLog } from '../../dist/core/log.js'
import { poolEngine } from '../../dist/pool/index.js'

const host = {
  home: homeAt(process.argv[2]),
  log: silentLog,
  findModel: () => null,
  memory: () => ({ budgetBytes: 8e9, usedBytes: 0 }),
}
const { signal } = new AbortController()
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)
let part = null
let running = null

async function chat(body) {
  const lease = running.lease()
  const response = await fetch(`${lease.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...lease.headers },
    body: JSON.stringify({ model: lease.model, ...body }),
  })
  say({ answering: true })
  try {
    say({ answer: { status: response.status, text: await response.text() } })
  } catch (error) {
    say({ answer: { broken: String(error) } })
  }
}

async function obey(order) {
  if (order.open) {
    part = await poolEngine(order.open.engine).open(order.open, host, signal)
    part.died.then((died) => say({ died }))
    say({ listening: part.listening })
  } else if (order.start) {
    running = await part.start(order.start, { signal })
    say({ ready: true })
  } else if (order.chat) await chat(order.chat)
  else if (order.stop) {
    await part?.stop()
    say({ stopped: true })
  }
}

const lines = createInterface({ input: process.stdin })
lines.on('line', (line) => {
  obey(JSON.parse(line)).catch((error) => say({ error: error.message, code: error.code }))
})
lines.on('close', async () => {
  await part?.stop()
  process.exit(0)
})
