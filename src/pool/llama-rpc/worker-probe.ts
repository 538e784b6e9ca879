/**
 * A few words of llama.cpp's RPC protocol, enough to ask an idle worker which version it speaks and how many devices it
 * offers. A worker that has a head must never be connected to: it serves one connection at a time, the second hangs,
 * and one that gives up waiting kills it. Bytes as in ggml-rpc.cpp at v0.5.0; HELLO keeps its number for ever.
 */
import { connect } from 'node:net'

export interface WorkerWord {
  /** `7.0.0`. */
  protocol: string
  devices: number
}

const [hello, deviceCount] = [14, 15]
const timeoutMs = 3_000

/** Null when nothing, or something else, answers. */
export function probeIdleWorker(host: string, port: number): Promise<WorkerWord | null> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    let held: Buffer = Buffer.alloc(0)
    let protocol: string | null = null
    let told: WorkerWord | null = null
    const settle = (word: WorkerWord | null): void => {
      told = word
      clearTimeout(timer)
      // An end, not a reset: the worker waits for it before it takes its head.
      socket.end()
      socket.resume()
      timer = setTimeout(() => socket.destroy(), 200)
    }
    let timer = setTimeout(() => settle(null), timeoutMs)
    socket.on('error', () => undefined)
    // Whoever closed it: a worker that dies of the question closes it without a word.
    socket.once('close', () => {
      clearTimeout(timer)
      resolve(told)
    })
    socket.once('connect', () => socket.write(command(hello, Buffer.alloc(24))))
    socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk])
      const answer = takeAnswer(held)
      if (answer === null) return
      held = held.subarray(8 + answer.length)
      if (protocol === null) {
        if (answer.length < 3) return settle(null)
        protocol = `${answer[0]}.${answer[1]}.${answer[2]}`
        socket.write(command(deviceCount, Buffer.alloc(0)))
      } else settle(answer.length < 4 ? null : { protocol, devices: answer.readUInt32LE(0) })
    })
  })
}

function command(number: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head[0] = number
  head.writeBigUInt64LE(BigInt(payload.length), 1)
  return Buffer.concat([head, payload])
}

function takeAnswer(held: Buffer): Buffer | null {
  if (held.length < 8) return null
  const length = Number(held.readBigUInt64LE(0))
  return length > 1024 || held.length < 8 + length ? null : held.subarray(8, 8 + length)
}
