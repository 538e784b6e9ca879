/**
 * A model that always says the same: a real GGUF for real engines, whose weights lead from one piece of text to the next
 * and then to the end. So a tool call comes out of a real engine's own parser, though nobody forced it.
 */
import { writeFileSync } from 'node:fs'
import { byteCharacters } from '../../src/bench/random-gguf.ts'
import { type WritableGguf, writeGguf } from '../../src/formats/gguf/write-gguf.ts'

/** ChatML with Hermes' tools, as Qwen and many others have them. */
const hermesTemplate = `{%- if tools %}<|im_start|>system
# Tools
<tools>{% for tool in tools %}
{{ tool | tojson }}{% endfor %}
</tools>
For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|im_end|>
{% endif -%}
{%- for message in messages %}{% if message.role == 'tool' %}<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% else %}<|im_start|>{{ message.role }}
{{ message.content }}{% for call in message.tool_calls or [] %}<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`

const special = ['<|endoftext|>', '<|im_start|>', '<|im_end|>']

type Tensor = NonNullable<WritableGguf['tensors']>[number]

export interface Saying {
  /** Begins again after the last piece, and never ends. */
  endless?: boolean
  /** A larger body costs time per token and changes no word. */
  width?: number
  layers?: number
}

/** @param pieces what it says, piece by piece; all different, fewer than `width`, which is 64 unless told */
export function writeSayingGguf(path: string, pieces: readonly string[], saying: Saying = {}): void {
  const { endless = false, width = 64, layers = 1 } = saying
  const bytes = byteCharacters()
  const tokens = [...bytes, ...special, ...pieces]
  const firstPiece = bytes.length + special.length
  /** Where each token points: all that is no piece along axis 0, the first piece along axis 1, and so on. */
  const axisOf = (token: number): number => (token < firstPiece ? 0 : token - firstPiece + 1)
  const after = (axis: number): number =>
    axis < pieces.length ? firstPiece + axis : endless ? firstPiece : tokens.indexOf('<|im_end|>')
  const embedding = new Float32Array(width * tokens.length)
  for (let token = 0; token < tokens.length; token++) embedding[token * width + axisOf(token)] = 1
  const output = new Float32Array(width * tokens.length)
  for (let axis = 0; axis <= pieces.length; axis++) output[after(axis) * width + axis] = 20
  const file = writeGguf({
    metadata: {
      'general.architecture': 'llama',
      'general.name': 'saying',
      'llama.context_length': 4096,
      'llama.embedding_length': width,
      'llama.block_count': layers,
      'llama.feed_forward_length': 2 * width,
      'llama.attention.head_count': width / 64,
      'llama.attention.head_count_kv': width / 64,
      'llama.attention.layer_norm_rms_epsilon': { type: 'float32', value: 1e-5 },
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': 'gpt-2',
      'tokenizer.ggml.tokens': { type: 'string', value: tokens },
      'tokenizer.ggml.token_type': {
        type: 'int32',
        value: tokens.map((_, token) => (token < bytes.length ? 1 : token < firstPiece ? 3 : 4)),
      },
      'tokenizer.ggml.merges': { type: 'string', value: [`${bytes[97]} ${bytes[97]}`] },
      'tokenizer.ggml.bos_token_id': tokens.indexOf('<|endoftext|>'),
      'tokenizer.ggml.eos_token_id': tokens.indexOf('<|im_end|>'),
      'tokenizer.chat_template': hermesTemplate,
    },
    tensors: [
      vectors('token_embd.weight', [width, tokens.length], embedding),
      vectors('output_norm.weight', [width], new Float32Array(width).fill(1)),
      vectors('output.weight', [width, tokens.length], output),
      ...Array.from({ length: layers }, (_, layer) => silentLayer(layer, width)).flat(),
    ],
  })
  writeFileSync(path, file)
}

/** A layer that adds nothing: its weights are zero. */
function silentLayer(layer: number, width: number): Tensor[] {
  const name = (part: string): string => `blk.${layer}.${part}.weight`
  const ones = new Float32Array(width).fill(1)
  const zero = (part: string, shape: number[]) => ({ name: name(part), shape, type: 'Q4_0' })
  return [
    vectors(name('attn_norm'), [width], ones),
    ...['attn_q', 'attn_k', 'attn_v', 'attn_output'].map((part) => zero(part, [width, width])),
    vectors(name('ffn_norm'), [width], ones),
    ...['ffn_gate', 'ffn_up'].map((part) => zero(part, [width, 2 * width])),
    zero('ffn_down', [2 * width, width]),
  ]
}

function vectors(name: string, shape: number[], numbers: Float32Array): Tensor {
  return { name, shape, type: 'F32', data: new Uint8Array(numbers.buffer) }
}
