/** What the benches ask, and by which the bench's engine knows how to answer. */
const ask = (content: string, rest: object): Buffer =>
  Buffer.from(JSON.stringify({ model: 'bench', messages: [{ role: 'user', content }], ...rest }))

/** `max_tokens` that asks the bench's engine for events at a pace instead of as fast as they are taken. */
export const pacedTokens = 50
export const paceMs = 10

export const questions = {
  json: ask('A question of usual length?', { max_tokens: 16 }),
  stream: ask('A question.', { max_tokens: 100, stream: true }),
  /** `pacedTokens` events, one every `paceMs`. */
  paced: ask('A question.', { max_tokens: pacedTokens, stream: true }),
}
