/** The tunnel behind a real nginx, as people put one before their hub. Debian's nginx, own configuration, loopback only. */
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { freePort } from '../../src/bench/gateways/gateway.ts'
import { nginxPlaces, spawnNginx } from '../../src/bench/gateways/nginx.ts'
import type { DialState } from '../../src/tunnel/reconnect.ts'
import { dialTo, startHub, type TestHub, until } from '../tunnel/harness.ts'

const program = nginxPlaces.find(existsSync) ?? 'nginx'
const folder = mkdtempSync(join(tmpdir(), 'holon-nginx-'))
/** Four heartbeats fit into nginx's patience; without them it hangs up. */
const timing = { heartbeatMs: 250, silenceMs: 2_000 }
const seldom = { heartbeatMs: 60_000, silenceMs: 180_000 }
const revoked = new Set<string>()
const cleanups: (() => unknown)[] = []
let hub: TestHub
let muteHub: TestHub
let nginx: ChildProcess
let port = 0
let barePort = 0
let mutePort = 0

beforeAll(async () => {
  hub = await startHub({ timing, revoked })
  muteHub = await startHub({ timing: seldom })
  port = await freePort()
  barePort = await freePort()
  mutePort = await freePort()
  await startNginx()
})
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
  await until(() => hub.acceptor.sessions().length === 0, 'the nodes of the test are gone')
})
afterAll(async () => {
  await stopNginx('SIGTERM')
  await hub.close()
  await muteHub.close()
  rmSync(folder, { recursive: true, force: true })
})

const http = (): string => `  proxy_read_timeout 1s;
  proxy_send_timeout 1s;
  ${server(port, hub)}
  ${server(mutePort, muteHub)}
  # As people have it who forgot the upgrade headers.
  server {
    listen 127.0.0.1:${barePort};
    location / { proxy_pass http://127.0.0.1:${hub.port}; }
  }`

const server = (listen: number, to: TestHub): string => `server {
    listen 127.0.0.1:${listen};
    location / {
      proxy_pass http://127.0.0.1:${to.port};
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
    }
  }`

async function startNginx(): Promise<void> {
  nginx = spawnNginx(program, folder, http())
  for (let tries = 0; !(await listens(port)); tries++) {
    if (tries > 500) throw new Error('nginx does not listen')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function listens(at: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(at, '127.0.0.1')
    socket.on('error', () => resolve(false))
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}

async function stopNginx(signal: NodeJS.Signals): Promise<void> {
  const gone = new Promise((resolve) => nginx.once('exit', resolve))
  nginx.kill(signal)
  await gone
}

function dial(nodeId: string, options: Parameters<typeof dialTo>[2] = {}, at = port) {
  const states: DialState[] = []
  const node = dialTo({ url: `http://127.0.0.1:${at}` }, nodeId, {
    timing,
    onState: (state) => states.push(state),
    ...options,
  })
  cleanups.push(() => node.stop())
  return Object.assign(node, { states })
}

test('requests and large bodies go both ways', async () => {
  dial('m1')
  const session = await hub.next()
  const body = Buffer.alloc(5_000_000, 'nginx')
  const answer = await session.request({ path: '/', method: 'POST', body })
  expect(Buffer.from(await answer.body.arrayBuffer()).equals(body)).toBe(true)
})

test('heartbeats keep an idle tunnel open far beyond proxy_read_timeout, which cuts one without them', async () => {
  dial('m1')
  const kept = await hub.next()
  // The control: the same idle line through the same nginx, with heartbeats too seldom to help.
  const mute = dial('m2', { timing: seldom, reconnect: { baseMs: 10, maxMs: 10 } }, mutePort)
  cleanups.push(() => mute.stop())
  for (let cuts = 0; cuts < 3; cuts++) {
    const session = await muteHub.next()
    expect((await session.closed).by).toBe('peer')
  }
  expect(kept.endedBy()).toBeNull()
  expect(await (await kept.request({ path: '/', method: 'POST', body: 'x' })).body.text()).toBe('x')
})

test('every event of a stream arrives before the next one is written', async () => {
  let writeNext: () => void = () => undefined
  dial('m1', {
    handler: (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      let i = 0
      writeNext = () => {
        if (i === 20) response.end()
        else response.write(`data: ${i++}\n\n`)
      }
      writeNext()
    },
  })
  const session = await hub.next()
  const answer = await session.request({ path: '/', method: 'GET' })
  const events: string[] = []
  for await (const chunk of answer.body) {
    events.push(String(chunk))
    writeNext()
  }
  expect(events).toEqual(Array.from({ length: 20 }, (_, i) => `data: ${i}\n\n`))
})

test('a refusal keeps its words on the way, so that a revoked node gives up', async () => {
  revoked.add('m9')
  expect(await dial('m9').ended).toMatchObject({ code: 'tunnel_revoked', message: 'Node m9 was revoked.' })
})

test('a proxy without the upgrade headers is named as the cause, and the node keeps trying', async () => {
  const node = dial('m1', {}, barePort)
  await until(() => node.state().phase === 'waiting', 'the node waits')
  expect(node.state()).toMatchObject({
    problem: { code: 'tunnel_handshake_invalid', hint: expect.stringContaining('upgrade headers') },
  })
})

test('an nginx that dies takes its answers with it at once, and the nodes come back with the next one', async () => {
  const node = dial('m1', { handler: (_, response) => void response.write('x') })
  const session = await hub.next()
  const answer = await session.request({ path: '/', method: 'GET' })
  await stopNginx('SIGKILL')
  await expect(answer.body.text()).rejects.toMatchObject({ code: 'tunnel_lost' })
  await until(() => node.states.some((each) => each.phase === 'waiting'), 'the node noticed')
  await startNginx()
  expect((await hub.next()).instanceId).toBe(session.instanceId)
})
