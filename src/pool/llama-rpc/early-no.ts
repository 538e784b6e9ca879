/**
 * Says no for a worker to a head that asks whether it has some weights already. The question stands in line behind the
 * weights before it, so a head by itself waits until its worker has received, fingerprinted and stored those before it
 * sends the next: on a gigabit cable the wire was idle for a quarter of a load. Whether they are kept is known from the
 * folder that the worker keeps them in; where they are, the worker is asked and answers.
 *
 * llama.cpp's RPC, as in ggml-rpc.cpp at v0.5.0: a command's number (one byte), the size of what follows (eight, little
 * endian), and that. The head speaks from one thread and waits for each answer, so nothing else is under way then.
 */
import type { Reader } from '../wire/relay.ts'

const headBytes = 9
const setTensorHash = 7
/** Its request: a description of the tensor, where in it, and the fingerprint (FNV-1a, 64 bits). */
const leastHashBytes = 24
const mostHashBytes = 4_096
/** Eight bytes that say how long the answer is, and the answer: 0 for no. */
const no = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 0])

/** The protocol's third number changes with the list of operations, the first two with what is read here. */
export const speaksAsRead = (protocol: string): boolean => protocol.startsWith('7.0.')

export class EarlyNo implements Reader {
  private readonly has: (hash: string) => boolean
  /** The beginning of a command that has not come whole. */
  private begun: Buffer = Buffer.alloc(0)
  /** Of the command that is passed on, bytes that are still to come. */
  private left = 0

  /** @param has whether weights of this fingerprint, 16 hexadecimal digits, are kept */
  constructor(has: (hash: string) => boolean) {
    this.has = has
  }

  read(piece: Buffer): { on: Buffer[]; back: Buffer | null } {
    const on: Buffer[] = []
    const back: Buffer[] = []
    let rest = this.begun.length === 0 ? piece : Buffer.concat([this.begun, piece])
    while (rest.length > 0) {
      if (this.left === 0) {
        if (rest.length < headBytes) break
        const size = headBytes + Number(rest.readBigUInt64LE(1))
        if (isQuestion(rest, size)) {
          if (rest.length < size) break
          if (this.isNews(rest.subarray(0, size))) {
            back.push(no)
            rest = rest.subarray(size)
            continue
          }
        }
        this.left = size
      }
      const bytes = Math.min(this.left, rest.length)
      on.push(rest.subarray(0, bytes))
      this.left -= bytes
      rest = rest.subarray(bytes)
    }
    this.begun = rest
    return { on, back: back.length === 0 ? null : Buffer.concat(back) }
  }

  private isNews(question: Buffer): boolean {
    const hash = question.readBigUInt64LE(question.length - 8)
    return !this.has(hash.toString(16).padStart(16, '0'))
  }
}

const isQuestion = (command: Buffer, size: number): boolean =>
  command[0] === setTensorHash && size >= headBytes + leastHashBytes && size <= headBytes + mostHashBytes
