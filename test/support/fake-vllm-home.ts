/** The fake vLLM, with or without the fake Ray, as programs on a PATH; and models in its format. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A folder for the PATH of an agent. */
export function fakePrograms(folder: string, names: readonly ('vllm' | 'ray')[]): string {
  mkdirSync(folder, { recursive: true })
  for (const name of names) {
    const program = fileURLToPath(new URL(`../fakes/fake-${name}.mjs`, import.meta.url))
    writeFileSync(join(folder, name), `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`, {
      mode: 0o755,
    })
  }
  return folder
}

/** A sound safetensors folder of a few kilobytes whose config tells the whole shape. */
export function writeShapedModel(folder: string, { heads, layers }: { heads: number; layers: number }): void {
  mkdirSync(folder, { recursive: true })
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: heads,
    hidden_size: heads * 16,
    intermediate_size: 128,
    vocab_size: 256,
    max_position_embeddings: 4096,
    torch_dtype: 'float16',
  }
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config))
  writeFileSync(join(folder, 'tokenizer.json'), '{}')
  const names = ['model.embed_tokens.weight']
  for (let layer = 0; layer < layers; layer++) names.push(`model.layers.${layer}.weight`)
  const tensors = names.map((name, at) => [
    name,
    { dtype: 'F16', shape: [32], data_offsets: [at * 64, (at + 1) * 64] },
  ])
  const header = Buffer.from(JSON.stringify(Object.fromEntries(tensors)))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  writeFileSync(
    join(folder, 'model.safetensors'),
    Buffer.concat([length, header, Buffer.alloc(names.length * 64, 7)]),
  )
}
