import type { Logprobs } from './sampling.ts'
import type { Vocabulary } from './vocabulary.ts'

export interface ChatTokenLogprob {
  token: string
  logprob: number
  bytes: number[]
  top_logprobs: { token: string; logprob: number; bytes: number[] }[]
}

/** The shape of chat completions. `bytes` lets a client rebuild characters that span tokens. */
export function chatLogprobs(vocabulary: Vocabulary, entries: readonly Logprobs[]): ChatTokenLogprob[] {
  const describe = (token: number, logprob: number): { token: string; logprob: number; bytes: number[] } => ({
    token: vocabulary.name(token),
    logprob,
    bytes: [...vocabulary.bytes(token)],
  })
  return entries.map((entry) => ({
    ...describe(entry.token, entry.logprob),
    top_logprobs: entry.top.map((top) => describe(top.token, top.logprob)),
  }))
}

export interface TextLogprobs {
  tokens: string[]
  token_logprobs: number[]
  top_logprobs: Record<string, number>[]
  text_offset: number[]
}

/** The shape of the older text completions. Offsets count characters of the answer. */
export class TextLogprobsCollector {
  private offset = 0
  private readonly vocabulary: Vocabulary

  constructor(vocabulary: Vocabulary) {
    this.vocabulary = vocabulary
  }

  add(entries: readonly Logprobs[]): TextLogprobs {
    const part: TextLogprobs = { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] }
    for (const entry of entries) {
      const token = this.vocabulary.name(entry.token)
      part.tokens.push(token)
      part.token_logprobs.push(entry.logprob)
      const top = entry.top.map((each) => [this.vocabulary.name(each.token), each.logprob] as const)
      part.top_logprobs.push(Object.fromEntries(top))
      part.text_offset.push(this.offset)
      this.offset += token.length
    }
    return part
  }
}
