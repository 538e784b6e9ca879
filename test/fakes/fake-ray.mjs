#!/usr/bin/env node
/**
 * A fake Ray: a real program with the command lines that vLLM's documents give for several machines.
 *
 *   node fake-ray.mjs --version
 *   node fake-ray.mjs start --head --port P --node-ip-address A [--disable-usage-stats] [--block] [--include-dashboard false]
 *   node fake-ray.mjs start --address H:P --node-ip-address A [--disable-usage-stats] [--block]
 *
 * As the real one: the head keeps the list of nodes at its port; a node stays connected to it, tries for twenty seconds
 * when it is not there yet, and ends when the head is gone; what a node runs (its raylet) ends with it, however it ended.
 * Without --block it would leave its processes behind and return, which is refused here: nobody asks for that.
 * FAKE_RAY_VERSION is the version; FAKE_RAY_CARDS the cards of this node, 1 when it is not given.
 */
import { spawn } from 'node:child_process'
import { connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { sleep } from './fake-server.mjs'

const [command, ...words] = process.argv.slice(2)
if (command === '--version') {
  process.stdout.write(`ray, version ${process.env.FAKE_RAY_VERSION ?? '2.49.1'}\n`)
  process.exit(0)
}
const options = {}
for (let at = 0; at < words.length; at++) {
  const name = words[at].slice(2)
  options[name] = words[at + 1] === undefined || words[at + 1].startsWith('--') ? true : words[++at]
}
if (command !== 'start' || options.block !== true)
  fail(`Usage: ray start --block, not ${command} ${words.join(' ')}`)

const me = { ip: options['node-ip-address'], cards: Number(process.env.FAKE_RAY_CARDS ?? 1) }
const raylet = spawn(
  process.execPath,
  ['-e', 'process.stdin.on("close", () => process.exit()).resume()', 'raylet', me.ip],
  {
    stdio: ['pipe', 'ignore', 'ignore'],
  },
)
raylet.on('exit', () => fail('Some Ray subprocesses exited unexpectedly: raylet'))
process.on('SIGTERM', () => process.exit(0))
if (options.head) lead(Number(options.port))
else await follow(options.address)

function fail(why) {
  process.stderr.write(`${why}\n`)
  process.exit(1)
}

/** Whoever joins stays connected; whoever watches is told the nodes with every change. */
function lead(port) {
  const nodes = new Map()
  const watching = new Set()
  nodes.set('head', me)
  const tell = () => {
    for (const socket of watching) socket.write(`${JSON.stringify([...nodes.values()])}\n`)
  }
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('close', () => {
      watching.delete(socket)
      if (nodes.delete(socket)) tell()
    })
    createInterface({ input: socket }).on('line', (line) => {
      const { join } = JSON.parse(line)
      if (join) nodes.set(socket, join)
      else watching.add(socket)
      tell()
    })
  })
  server.on('error', (error) => fail(`Failed to start GCS: ${error.message}`))
  server.listen(port, me.ip)
}

async function follow(address) {
  const [host, port] = address.split(':')
  for (let tries = 0; tries < 20; tries++) {
    const socket = connect({ host, port: Number(port) })
    socket.on('error', () => undefined)
    const joined = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('close', () => resolve(false))
    })
    if (!joined) {
      await sleep(1000)
      continue
    }
    socket.write(`${JSON.stringify({ join: me })}\n`)
    await new Promise((resolve) => socket.once('close', resolve))
    fail('The GCS is dead: the raylet exits.')
  }
  fail(`ConnectionError: Failed to connect to the GCS at ${address}.`)
}
