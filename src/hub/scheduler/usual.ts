/** What is usual for a model whatever the machine: how long its answers are, and how many tokens its prompts' bytes make. */
import type { HotNumbers } from './hot-numbers.ts'

/** Of an answer of a model that nobody has asked yet. */
const firstAnswerTokens = 256
/** 4 bytes of English are about a token. */
const firstTokensPerByte = 0.25

export class Usual {
  readonly at: number
  private readonly numbers: HotNumbers
  private answers = 0

  constructor(numbers: HotNumbers) {
    this.numbers = numbers
    this.at = numbers.usual.take()
    numbers.usual.values[this.at] = firstTokensPerByte
    numbers.usual.values[this.at + 1] = firstAnswerTokens
  }

  /** Tokens per byte of a request's body. */
  get tokensPerByte(): number {
    return this.numbers.usual.values[this.at]!
  }

  get answerTokens(): number {
    return this.numbers.usual.values[this.at + 1]!
  }

  learn(answer: { bytes: number; promptTokens: number; completionTokens: number; generates: boolean }): void {
    // The first few count more, so that the stated figure is soon forgotten.
    const share = Math.max(0.05, 1 / (this.answers + 2))
    this.answers++
    const { values } = this.numbers.usual
    if (answer.generates && answer.completionTokens > 0)
      values[this.at + 1]! += (answer.completionTokens - this.answerTokens) * share
    if (answer.promptTokens < 8 || answer.bytes < 64) return
    const ratio = Math.min(2, Math.max(0.02, answer.promptTokens / answer.bytes))
    values[this.at]! += (ratio - this.tokensPerByte) * share
  }

  forget(): void {
    this.numbers.usual.giveBack(this.at)
  }
}
