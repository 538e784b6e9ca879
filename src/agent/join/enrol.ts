/** Becoming a node: by a token, or by asking and waiting for a person (RFC 8628). */
import { z } from 'zod'
import type { Clock } from '../../core/clock.ts'
import { catalogue, type ErrorCode, HolonError } from '../../core/errors.ts'
import { tlsProblem } from '../../core/tls-problem.ts'
import {
  type AdmittedResponse,
  admittedResponse,
  type DeviceCodeResponse,
  deviceCodeResponse,
  deviceErrors,
} from '../../protocol/joining.ts'

export interface EnrolOptions {
  /** Address of the hub, without a slash at its end. */
  hub: string
  /** What the machine calls itself; the hub may add a number. */
  name: string
  signal: AbortSignal
  fetch?: typeof fetch
}

/** @throws HolonError join_token_invalid, join_token_used, hub_unreachable */
export async function enrolByToken(options: EnrolOptions & { token: string }): Promise<AdmittedResponse> {
  const { token, name } = options
  const { status, body } = await post(options, '/fleet/v1/join', { token, name })
  if (status !== 200) throw refusal(options.hub, status, body)
  return expect(options.hub, admittedResponse, body)
}

export interface DeviceOptions extends EnrolOptions {
  clock: Clock
  /** Shows a person where to go and what to type. */
  onCode(code: DeviceCodeResponse): void
}

const slowDownS = 5
const maxIntervalS = 60

/**
 * Asks to come in and waits until a person has decided. Only spans of time matter, so that clocks may differ; a hub that
 * is away for a moment is asked again.
 * @throws HolonError join_denied, join_expired, hub_unreachable
 */
export async function enrolByDevice(options: DeviceOptions): Promise<AdmittedResponse> {
  const { hub, name, clock, signal } = options
  const begun = await post(options, '/fleet/v1/device/code', { client_id: name })
  if (begun.status !== 200) throw refusal(hub, begun.status, begun.body)
  const code = expect(hub, deviceCodeResponse, begun.body)
  options.onCode(code)
  let intervalS = code.interval ?? 5
  const deadline = clock.now() + code.expires_in * 1000
  for (;;) {
    await pause(clock, intervalS * 1000, signal)
    if (clock.now() >= deadline) throw expired()
    const told = await poll(options, code.device_code)
    if (told === null || told === 'authorization_pending') continue
    if (told === 'slow_down') intervalS = Math.min(maxIntervalS, intervalS + slowDownS)
    else if (told === 'access_denied') {
      throw new HolonError('join_denied', 'The owner of the hub turned this machine away.')
    } else if (told === 'expired_token') throw expired()
    else return told
  }
}

type Told = AdmittedResponse | (typeof deviceErrors)[number]

/** Null when the hub gave no answer that decides anything. */
async function poll(options: DeviceOptions, deviceCode: string): Promise<Told | null> {
  let answer: Answer
  try {
    answer = await post(options, '/fleet/v1/device/token', {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: deviceCode,
    })
  } catch (error) {
    if (options.signal.aborted) throw error
    return null
  }
  if (answer.status === 200) return expect(options.hub, admittedResponse, answer.body)
  const { error } = (answer.body ?? {}) as { error?: unknown }
  return deviceErrors.find((each) => each === error) ?? null
}

interface Answer {
  status: number
  body: unknown
}

const answerWithinMs = 60_000
const maxAnswerChars = 64 * 1024

async function post(options: EnrolOptions, path: string, body: object): Promise<Answer> {
  const { hub, signal } = options
  const send = options.fetch ?? fetch
  try {
    const response = await send(`${hub}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]),
      redirect: 'error',
    })
    const text = (await response.text()).slice(0, maxAnswerChars)
    return { status: response.status, body: asJson(text) }
  } catch (cause) {
    if (signal.aborted) throw signal.reason
    const tls = tlsProblem(cause)
    if (tls) throw new HolonError('hub_unreachable', `${hub} ${tls.what}.`, { hint: tls.hint, cause })
    const why = (cause as { cause?: { code?: string } }).cause?.code
    throw new HolonError('hub_unreachable', `No hub answers at ${hub}${why ? ` (${why})` : ''}.`, { cause })
  }
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const envelope = z.object({ error: z.object({ code: z.string().nullable(), message: z.string().max(2000) }) })

/** The hub's own error; its hint is already part of the message. */
function refusal(hub: string, status: number, body: unknown): HolonError {
  const told = envelope.safeParse(body)
  const code = told.success ? told.data.error.code : null
  if (told.success && code !== null && Object.hasOwn(catalogue, code)) {
    return new HolonError(code as ErrorCode, told.data.error.message, { hint: '' })
  }
  return new HolonError('hub_unreachable', `${hub} answered ${status}, and not as a hub does.`)
}

function expect<T>(hub: string, schema: z.ZodType<T>, body: unknown): T {
  const checked = schema.safeParse(body)
  if (checked.success) return checked.data
  throw new HolonError('hub_unreachable', `${hub} did not answer as a hub does.`)
}

function expired(): HolonError {
  return new HolonError('join_expired', 'Nobody approved this machine in time.')
}

function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      cancel()
      reject(signal.reason)
    }
    const cancel = clock.after(ms, () => {
      signal.removeEventListener('abort', stop)
      resolve()
    })
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}
