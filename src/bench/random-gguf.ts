import { closeSync, openSync, writeSync } from 'node:fs'
import { writeGguf } from '../formats/gguf/write-gguf.ts'

/**
 * Writes small GGUF files with random weights, so that tests and benches drive the real engines without a download.
 * A model made this way speaks nonsense, at the true speed of its shape. Same seed, same file, byte for byte.
 */
export interface RandomGguf {
  architecture?: string
  layers?: number
  embedding?: number
  heads?: number
  kvHeads?: number
  feedForward?: number
  /** At least 300: 256 bytes, a few merges, the special tokens. */
  vocab?: number
  context?: number
  type?: 'F32' | 'F16' | 'Q8_0' | 'Q4_0'
  seed?: number
  /** `tokenizer.chat_template`; null leaves the key out. */
  chatTemplate?: string | null
  /** Marker tokens to add (`<tool_call>` ...), as user-defined tokens. */
  markers?: string[]
  name?: string
  /** Further keys, written as float32. */
  numbers?: Record<string, number>
  /** Leave the weights out, for a file that only claims to be large. */
  headerOnly?: boolean
}

/** A 0.5B model's shape (24 layers x 896, tied embeddings), for benches. */
export const halfBillion: RandomGguf = {
  layers: 24,
  embedding: 896,
  heads: 14,
  kvHeads: 2,
  feedForward: 4864,
  vocab: 151_936,
  context: 4096,
}

export const chatMl =
  "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

const special = ['<|endoftext|>', '<|im_start|>', '<|im_end|>']
const smallVocab = 512

/** For requests whose tokens are counted: with random weights any token, at any temperature, may be one that ends the answer. */
export function neverEnding({ vocab = smallVocab, markers = [] }: RandomGguf = {}): {
  logit_bias: Record<string, number>
} {
  const first = vocab - markers.length - special.length
  return { logit_bias: Object.fromEntries(special.map((_, index) => [String(first + index), -100])) }
}

const types = {
  F32: { block: 1, bytes: 4 },
  F16: { block: 1, bytes: 2 },
  Q4_0: { block: 32, bytes: 18 },
  Q8_0: { block: 32, bytes: 34 },
} as const
type TypeName = keyof typeof types

/** mulberry32: small, seeded, good enough for weights. */
function randomSource(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** GPT-2's reversible map from bytes to printable characters: byte-level vocabularies are written in it. */
export function byteCharacters(): string[] {
  const printable = new Set<number>()
  for (const [from, to] of [
    [33, 126],
    [161, 172],
    [174, 255],
  ] as const) {
    for (let code = from; code <= to; code++) printable.add(code)
  }
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable.has(byte) ? byte : next++))
}

interface Tensor {
  name: string
  shape: number[]
  type: TypeName
}

function tensorsOf(model: Required<Omit<RandomGguf, 'chatTemplate'>>): Tensor[] {
  const { embedding, feedForward, heads, kvHeads, layers, type, vocab } = model
  const kv = (embedding / heads) * kvHeads
  const tensors: Tensor[] = [
    { name: 'token_embd.weight', shape: [embedding, vocab], type },
    { name: 'output_norm.weight', shape: [embedding], type: 'F32' },
  ]
  for (let layer = 0; layer < layers; layer++) {
    const add = (name: string, shape: number[], kind: TypeName = type): void => {
      tensors.push({ name: `blk.${layer}.${name}.weight`, shape, type: kind })
    }
    add('attn_norm', [embedding], 'F32')
    add('attn_q', [embedding, embedding])
    add('attn_k', [embedding, kv])
    add('attn_v', [embedding, kv])
    add('attn_output', [embedding, embedding])
    add('ffn_norm', [embedding], 'F32')
    add('ffn_gate', [embedding, feedForward])
    add('ffn_up', [embedding, feedForward])
    add('ffn_down', [feedForward, embedding])
  }
  return tensors
}

function f16(value: number): number {
  const sign = value < 0 ? 0x8000 : 0
  const size = Math.abs(value)
  if (size < 2 ** -14) return sign | Math.round(size * 2 ** 24)
  const exponent = Math.floor(Math.log2(size))
  return sign | ((exponent + 15) << 10) | Math.floor((size / 2 ** exponent - 1) * 1024)
}

/**
 * Blocks in the pool: a prime above every vocabulary, so that no two rows of a matrix are alike. With a pool of another
 * size each row came back after some thousands, tokens tied for the first place, and engines that break ties
 * differently wrote different texts, which cost them different work.
 */
const poolBlocks = 200_003

/** A few MB of valid blocks, tiled over every tensor of that type: writing 500 MB stays fast. */
function blockPool(type: TypeName, random: () => number): Buffer {
  const { bytes } = types[type]
  const pool = Buffer.alloc(poolBlocks * bytes)
  const scale = 0.04
  for (let index = 0; index < poolBlocks; index++) {
    const at = index * bytes
    if (type === 'F32') pool.writeFloatLE((random() - 0.5) * 2 * scale, at)
    else if (type === 'F16') pool.writeUInt16LE(f16((random() - 0.5) * 2 * scale), at)
    else {
      pool.writeUInt16LE(f16(scale / (type === 'Q4_0' ? 8 : 127)), at)
      for (let byte = 2; byte < bytes; byte++) pool[at + byte] = Math.floor(random() * 256)
    }
  }
  return pool
}

function vocabulary(
  size: number,
  markers: string[],
): { tokens: string[]; merges: string[]; kinds: number[] } {
  const bytes = byteCharacters()
  const tokens = [...bytes]
  const merges: string[] = []
  const room = size - special.length - markers.length
  const letters = [...'etaoinsrhldcumfpgwybvkxjqz']
  for (const lead of ['', bytes[32] ?? '']) {
    for (const first of letters) {
      const parts = lead === '' ? letters.map((second) => [first, second]) : [[lead, first]]
      for (const [left, right] of parts) {
        if (tokens.length >= Math.min(room, 1200)) break
        tokens.push(`${left}${right}`)
        merges.push(`${left} ${right}`)
      }
    }
  }
  while (tokens.length < room) tokens.push(`[unused${tokens.length}]`)
  const kinds = [...tokens.map(() => 1), ...special.map(() => 3), ...markers.map(() => 4)]
  return { tokens: [...tokens, ...special, ...markers], merges, kinds }
}

/** Writes the file and returns its size in bytes. */
export function writeRandomGguf(path: string, options: RandomGguf = {}): number {
  const model = {
    architecture: 'llama',
    layers: 2,
    embedding: 64,
    heads: 4,
    kvHeads: 2,
    feedForward: 128,
    vocab: smallVocab,
    context: 512,
    type: 'F16' as TypeName,
    seed: 1,
    markers: [],
    name: 'tiny',
    headerOnly: false,
    numbers: {},
    ...options,
  }
  const { tokens, merges, kinds } = vocabulary(model.vocab, model.markers)
  const endOfTurn = tokens.indexOf('<|im_end|>')
  const tensors = tensorsOf(model)
  const arch = model.architecture
  const template = options.chatTemplate === undefined ? chatMl : options.chatTemplate
  const header = writeGguf({
    headerOnly: true,
    tensors,
    metadata: {
      'general.architecture': arch,
      'general.name': model.name,
      [`${arch}.context_length`]: model.context,
      [`${arch}.embedding_length`]: model.embedding,
      [`${arch}.block_count`]: model.layers,
      [`${arch}.feed_forward_length`]: model.feedForward,
      [`${arch}.attention.head_count`]: model.heads,
      [`${arch}.attention.head_count_kv`]: model.kvHeads,
      [`${arch}.attention.layer_norm_rms_epsilon`]: { type: 'float32', value: 1e-5 },
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': 'gpt-2',
      'tokenizer.ggml.tokens': { type: 'string', value: tokens },
      'tokenizer.ggml.token_type': { type: 'int32', value: kinds },
      'tokenizer.ggml.merges': { type: 'string', value: merges },
      'tokenizer.ggml.bos_token_id': tokens.indexOf('<|endoftext|>'),
      'tokenizer.ggml.eos_token_id': endOfTurn,
      ...(template === null ? {} : { 'tokenizer.chat_template': template }),
      ...Object.fromEntries(
        Object.entries(model.numbers).map(([key, value]) => [key, { type: 'float32', value } as const]),
      ),
    },
  })
  return writeParts(path, header, tensors, model.headerOnly ? null : model.seed)
}

const sizeOf = (tensor: Tensor): number => {
  const { block, bytes } = types[tensor.type]
  return (tensor.shape.reduce((a, b) => a * b, 1) / block) * bytes
}

function writeParts(path: string, header: Uint8Array, tensors: Tensor[], seed: number | null): number {
  const random = randomSource(seed ?? 0)
  const pools = new Map<TypeName, Buffer>()
  const file = openSync(path, 'w')
  try {
    let size = writeSync(file, header)
    const pad = (): void => {
      const missing = Math.ceil(size / 32) * 32 - size
      if (missing > 0) size += writeSync(file, Buffer.alloc(missing))
    }
    pad()
    if (seed === null) return size
    for (const tensor of tensors) {
      let left = sizeOf(tensor)
      if (tensor.shape.length === 1) {
        const ones = Buffer.alloc(left)
        for (let at = 0; at < left; at += 4) ones.writeFloatLE(1, at)
        size += writeSync(file, ones)
      } else {
        const pool = pools.get(tensor.type) ?? blockPool(tensor.type, random)
        pools.set(tensor.type, pool)
        const unit = types[tensor.type].bytes
        // Every tensor starts elsewhere in the pool: equal layers would make every token alike.
        let start = Math.floor((random() * pool.length) / unit) * unit
        while (left > 0) {
          const part = pool.subarray(start, Math.min(pool.length, start + left))
          size += writeSync(file, part)
          left -= part.length
          start = 0
        }
      }
      pad()
    }
    return size
  } finally {
    closeSync(file)
  }
}
