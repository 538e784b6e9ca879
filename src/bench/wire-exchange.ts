/**
 * What llama.cpp's RPC says for one token: the inputs of a worker's layers, the order to compute, and the question for what
 * came out, each in pieces of command, size and content; answered in size and content. Lengths as seen between
 * llama-server v0.5.0 and a worker that holds eight layers of a model with 1,536 channels.
 */
const [setTensor, getTensor, graphRecompute] = [6, 8, 16]

const size = (bytes: number): Buffer => {
  const written = Buffer.alloc(8)
  written.writeBigUInt64LE(BigInt(bytes))
  return written
}
const message = (command: number, bytes: number): Buffer[] => [
  Buffer.from([command]),
  size(bytes),
  Buffer.alloc(bytes),
]

export const tokenRequest: readonly Buffer[] = [
  ...[6_449, 6_449, 309, 313, 313, 817].flatMap((bytes) => message(setTensor, bytes)),
  ...message(graphRecompute, 4),
  ...message(getTensor, 312),
]
export const tokenAnswer: readonly Buffer[] = [size(6_144), Buffer.alloc(6_144)]

export const bytesOf = (pieces: readonly Buffer[]): number =>
  pieces.reduce((sum, piece) => sum + piece.length, 0)
