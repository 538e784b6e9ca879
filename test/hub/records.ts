/** An answer's record for tests, whole and plausible. */
import type { AnswerRecord } from '../../src/hub/gateway/answer-record.ts'

export function aRecord(more: Partial<AnswerRecord> = {}): AnswerRecord {
  return {
    requestId: 'req_1',
    time: Date.now(),
    endpoint: 'chat',
    model: 'tiny',
    node: 'node-1',
    engine: 'fake',
    status: 200,
    error: null,
    stream: true,
    promptTokens: 7,
    cachedTokens: 3,
    completionTokens: 4,
    exactTokens: true,
    queueMs: 0.5,
    ttftMs: 12.5,
    durationMs: 40,
    prefillTokS: 400,
    decodeTokS: 100,
    retries: 0,
    keyId: null,
    ...more,
  }
}
