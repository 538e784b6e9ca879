/** What this machine brings to a pool on llama.cpp RPC. */
import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { findLlamaServer, llamaServerPlaces } from '../../engines/llama-server/detect.ts'
import type { LlamaServerBinary } from '../../engines/llama-server/inspect.ts'
import type { MemberFacts } from '../../protocol/pool.ts'
import type { MemberHost } from '../pool-engine.ts'
import { baseFacts } from '../shared/base-facts.ts'
import { startWorker } from './worker-process.ts'

/** Both binaries of llama.cpp, and what they say of themselves. */
export interface LlamaRpcBuild {
  server: LlamaServerBinary
  worker: string
  /** `llama.cpp 0.5.0-dev (build 1) rpc 7.0.0`. */
  build: string
}

const installHint = 'Run `holon engines install llama.cpp` there.'

export async function inspectLlamaRpc(host: MemberHost, model: string): Promise<MemberFacts> {
  const [found, facts] = await Promise.all([findLlamaRpc(host), baseFacts(host)])
  const here = host.findModel(model)
  const mine = { ...facts, modelPath: here?.path ?? null, modelBytes: here?.sizeBytes ?? null }
  if (typeof found === 'string') return { ...mine, whyNot: found }
  return { ...mine, build: found.build, devices: await listDevices(found.server.path) }
}

/**
 * The build that is used here, or one sentence why there is none. Remembered per file: a part that is opened right after
 * its member was looked at must not wait for the programs to tell it all once more, GPUs least of all.
 */
export async function findLlamaRpc(host: MemberHost): Promise<LlamaRpcBuild | string> {
  const places = llamaServerPlaces(host.home)
  const server = await findLlamaServer(places, { rpc: true })
  if (!server?.rpcWorker) {
    const without = await findLlamaServer(places)
    const why = without
      ? `The llama-server at ${without.path} was built without RPC`
      : 'llama.cpp is not installed'
    return `${why}. ${installHint}`
  }
  const worker = server.rpcWorker
  const protocol = await protocolOf(worker)
  if (protocol === null) return `The RPC worker ${worker} does not run. ${installHint}`
  return { server, worker, build: `llama.cpp ${server.version} rpc ${protocol}` }
}

const known = new Map<string, Promise<string | null>>()

/**
 * Only a worker that runs tells the version of its protocol: one is started for some milliseconds, once per file. Null
 * when it does not run now.
 */
export async function protocolOf(worker: string): Promise<string | null> {
  const file = await stat(worker).catch(() => null)
  if (file === null) return null
  const stamp = `${worker}|${file.mtimeMs}|${file.size}`
  const asked = known.get(stamp) ?? ask(worker)
  known.set(stamp, asked)
  const protocol = await asked
  // A machine that was too busy, or had no port to give, is asked again.
  if (protocol === null) known.delete(stamp)
  return protocol
}

async function ask(binary: string): Promise<string | null> {
  try {
    const options = { binary, host: '127.0.0.1', devices: [], threads: 1, cache: null, rdma: false }
    const { child, word } = await startWorker(options)
    await child.stop(500)
    return word.protocol
  } catch {
    return null
  }
}

/** GPUs as llama.cpp names them; `CPU` when there is none. Asked anew each time: a card may have come or gone. */
function listDevices(server: string): Promise<string[]> {
  return new Promise((resolve) => {
    execFile(server, ['--list-devices'], { timeout: 15_000 }, (_, stdout, stderr) => {
      const gpus = parseDevices(`${stdout}\n${stderr}`)
      resolve(gpus.length > 0 ? gpus : ['CPU'])
    })
  })
}

/** Lines such as `  CUDA0: NVIDIA GeForce RTX 4090 (24080 MiB, 23600 MiB free)`; BLAS and its like have no memory. */
export function parseDevices(text: string): string[] {
  const devices: string[] = []
  for (const [, name, mebibytes] of text.matchAll(
    /^\s+([A-Za-z]+\d*): .*\((\d+) MiB, \d+ MiB free\)\s*$/gm,
  )) {
    if (name !== undefined && name !== 'BLAS' && Number(mebibytes) > 0) devices.push(name)
  }
  return devices
}

/** llama.cpp's worker computes with one thread when it is told nothing. */
export function workerThreads(): number {
  return Math.max(1, availableParallelism())
}
