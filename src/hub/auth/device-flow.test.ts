import { describe, expect, test } from 'vitest'
import { FakeClock } from '../../core/clock.ts'
import { DeviceFlow } from './device-flow.ts'
import { newUserCode, readUserCode } from './secrets.ts'

function begin(policy = { expiresMs: 600_000, intervalS: 5, maxWaiting: 3 }) {
  const clock = new FakeClock(1_700_000_000_000)
  const flow = new DeviceFlow(clock, policy)
  const { deviceCode, request } = flow.begin('studio', '10.0.0.7')
  const answer = () => {
    const result = flow.poll(deviceCode)
    return result.kind === 'error' ? result.error : `approved by ${result.by}`
  }
  return { clock, flow, request, deviceCode, answer }
}
const yes = { approved: true, by: 'the owner' } as const

describe('a machine that asks to come in', () => {
  test('waits, is approved, and gets its answer again when it was lost on the way', () => {
    const { clock, flow, request, deviceCode, answer } = begin()
    expect(answer()).toBe('authorization_pending')
    flow.decide(request.userCode, request.csrf, yes)
    clock.advance(5_000)
    expect(answer()).toBe('approved by the owner')
    expect(answer()).toBe('approved by the owner')
    expect(flow.finish(deviceCode)).toBe(true)
    expect(answer()).toBe('expired_token')
    expect(flow.finish(deviceCode)).toBe(false)
  })

  test('is denied once and for all', () => {
    const { flow, request, answer } = begin()
    flow.decide(request.userCode.toLowerCase().replace('-', ' '), request.csrf, { approved: false })
    expect(answer()).toBe('access_denied')
    expect(answer()).toBe('expired_token')
  })

  test('is told to slow down when it asks too often, five seconds more each time', () => {
    const { clock, answer } = begin()
    expect(answer()).toBe('authorization_pending')
    clock.advance(2_000)
    expect(answer()).toBe('slow_down')
    clock.advance(6_000)
    expect(answer()).toBe('slow_down')
    clock.advance(15_000)
    expect(answer()).toBe('authorization_pending')
  })

  test('may be a little early, as timers are', () => {
    const { clock, answer } = begin()
    answer()
    clock.advance(4_900)
    expect(answer()).toBe('authorization_pending')
  })

  test('expires, and cannot be approved after that', () => {
    const { clock, flow, request, answer } = begin()
    clock.advance(600_000)
    expect(answer()).toBe('expired_token')
    expect(flow.find(request.userCode)).toBeNull()
    expect(() => flow.decide(request.userCode, request.csrf, yes)).toThrow(
      expect.objectContaining({ code: 'join_expired' }),
    )
  })

  test('is not approved by a page that never showed its request', () => {
    const { flow, request, answer } = begin()
    for (const csrf of ['', 'x', `${request.csrf}x`]) {
      expect(() => flow.decide(request.userCode, csrf, yes)).toThrow(
        expect.objectContaining({ code: 'origin_refused' }),
      )
    }
    expect(answer()).toBe('authorization_pending')
  })
})

test('no more machines wait than the hub can bear, and expired ones make room', () => {
  const { clock, flow } = begin()
  flow.begin('b', 'x')
  flow.begin('c', 'x')
  expect(() => flow.begin('d', 'x')).toThrow(expect.objectContaining({ code: 'overloaded' }))
  clock.advance(600_000)
  flow.begin('d', 'x')
})

test('codes hold letters that are not taken for others, and are read however they are typed', () => {
  for (let at = 0; at < 200; at++) {
    const code = newUserCode()
    expect(code).toMatch(/^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/)
    expect(readUserCode(` ${code.toLowerCase().replace('-', '')} `)).toBe(code)
  }
  for (const wrong of ['', 'WDJB', 'WDJB-MJHTT', '1234-5678']) expect(readUserCode(wrong)).toBeNull()
})
