/** What is usual for a model whatever the machine: how long its answers are, and how many tokens its prompts' bytes make. */

export class Usual {
  /** Tokens of an answer. */
  answerTokens = 256
  /** Tokens per byte of a request's body; 4 bytes of English are about a token. */
  tokensPerByte = 0.25
  private answers = 0

  learn(answer: { bytes: number; promptTokens: number; completionTokens: number; generates: boolean }): void {
    // The first few count more, so that the stated figure is soon forgotten.
    const share = Math.max(0.05, 1 / (this.answers + 2))
    this.answers++
    if (answer.generates && answer.completionTokens > 0)
      this.answerTokens += (answer.completionTokens - this.answerTokens) * share
    if (answer.promptTokens < 8 || answer.bytes < 64) return
    const ratio = Math.min(2, Math.max(0.02, answer.promptTokens / answer.bytes))
    this.tokensPerByte += (ratio - this.tokensPerByte) * share
  }
}
