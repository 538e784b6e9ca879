import { expect, test } from 'vitest'
import { fromRefusal } from './engine-error.ts'

const told = (status: number, body: object) => {
  const {
    error,
    status: sent,
    envelope,
  } = fromRefusal({
    status,
    body: Buffer.from(JSON.stringify(body)),
    retryAfter: '7',
  })
  return { code: error.code, retryAfterS: error.retryAfterS, sent, ...JSON.parse(envelope).error }
}

test('an engine that asks for patience is told on as such, with its Retry-After', () => {
  const refusal = told(429, { error: { message: 'Slow down.', type: 'too_many_requests' } })
  expect(refusal).toMatchObject({
    sent: 429,
    code: 'rate_limit_exceeded',
    type: 'rate_limit_error',
    retryAfterS: 7,
  })
})

test('a key that the engine does not take is no fault of the caller', () => {
  expect(told(401, { error: 'who are you?' })).toMatchObject({
    sent: 502,
    type: 'server_error',
    source: 'engine',
  })
})

test('what the engine says of a parameter survives, its numbers in `code` do not', () => {
  const refusal = told(400, { error: { message: 'No such thing.', param: 'top_k', code: 400 } })
  expect(refusal).toMatchObject({
    sent: 400,
    message: 'No such thing.',
    param: 'top_k',
    code: 'invalid_parameter',
  })
})

test('that an engine makes no embeddings is said to the caller, not to whoever starts it', () => {
  const message = 'This server does not support embeddings. Start it with `--embeddings`'
  const refusal = told(501, { error: { code: 501, message, type: 'not_supported_error' } })
  expect(refusal).toMatchObject({ sent: 501, code: 'not_supported', type: 'invalid_request_error' })
  expect(refusal.message).toMatch(/Ask a model that is made for embeddings/)
  expect(refusal.message).not.toMatch(/--embeddings/)
})
