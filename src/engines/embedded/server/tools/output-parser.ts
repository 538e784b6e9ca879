/** What a chat answer consists of while it is being written. */
export interface ToolCallDelta {
  index: number
  id?: string
  type?: 'function'
  function: { name?: string; arguments?: string }
}
export interface Delta {
  content?: string
  /** The model's thinking, which is no part of its answer. */
  reasoning_content?: string
  tool_calls?: ToolCallDelta[]
}

/** Turns the model's text, arriving in pieces, into deltas. */
export interface OutputParser {
  push(text: string): Delta[]
  /** The answer has ended: what was held back comes out. */
  end(): Delta[]
  /** Tool calls begun so far. */
  readonly calls: number
  /** A call has been read to its end and nothing has followed it yet. */
  readonly callEnded: boolean
}

/** For answers that are just text. */
export const plainText: OutputParser = {
  push: (text) => (text === '' ? [] : [{ content: text }]),
  end: () => [],
  calls: 0,
  callEnded: false,
}
