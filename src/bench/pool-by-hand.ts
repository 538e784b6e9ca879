/**
 * llama.cpp RPC as somebody who knows it well starts it by hand, and nothing of Holon around it: the workers side by
 * side, the head as soon as their ports answer, with the very command line that Holon would use. No guard, no key, no
 * relay; what is waited for is seen the moment it is there.
 */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Spawned, spawnChild } from '../engines/shared/spawn.ts'
import { probeIdleWorker } from '../pool/llama-rpc/worker-probe.ts'
import { freePort } from '../pool/wire/listen.ts'
import type { HeadAddress } from './pool-member.ts'

export interface HandOrder {
  server: string
  worker: string
  workerThreads: number
  /** A folder for each worker to keep received weights in; null keeps nothing. */
  caches: readonly (string | null)[]
  /** The head's command line but for its address. */
  headArgs(endpoints: readonly string[]): string[]
  /** Resolves with the first token's arrival. */
  firstToken(head: HeadAddress): Promise<unknown>
}

const host = '127.0.0.1'

/** Resolves when a token has come out. */
export async function startByHand(order: HandOrder): Promise<HeadAddress & { stop(): Promise<void> }> {
  const workers = await Promise.all(order.caches.map((cache) => startWorker(order, cache)))
  const args = order.headArgs(workers.map(({ port }) => `${host}:${port}`))
  const port = await freePort(host)
  const lines = { listening: () => undefined as unknown }
  const listening = new Promise((resolve) => {
    lines.listening = () => resolve(true)
  })
  const head = await spawnChild({
    command: order.server,
    args: [...args, '--host', host, '--port', String(port)],
    onLine: (line) => line.includes(`listening on http://${host}:${port}`) && lines.listening(),
  })
  const ended = head.exited.then(({ reason }) => {
    throw new Error(reason)
  })
  await Promise.race([listening, ended])
  ended.catch(() => undefined)
  const at = { origin: `http://${host}:${port}`, headers: {} }
  await order.firstToken(at)
  const stop = async (): Promise<void> => {
    await head.stop(2000)
    await Promise.all(workers.map(({ child }) => child.stop(500)))
  }
  return { ...at, stop }
}

async function startWorker(
  { worker, workerThreads }: HandOrder,
  cache: string | null,
): Promise<{ child: Spawned; port: number }> {
  const port = await freePort(host)
  const args = ['-H', host, '-p', String(port), '-t', String(workerThreads), '-d', 'CPU']
  if (cache !== null) args.push('-c')
  const env = cache === null ? process.env : { ...process.env, LLAMA_CACHE: cache }
  const child = await spawnChild({ command: worker, args, env })
  const gone = once(child.process, 'exit').then(() => true)
  while ((await probeIdleWorker(host, port)) === null) {
    if (await Promise.race([gone, sleep(2, false)])) throw new Error('the worker does not start')
  }
  return { child, port }
}
