/** What /metrics tells Prometheus. The only file that knows prom-client. */
import { collectDefaultMetrics, Gauge, type Metric, Registry } from 'prom-client'
import type { AnswerRecord } from './gateway/answer-record.ts'
import type { StreamGaps } from './gateway/stream-gaps.ts'
import {
  CounterFamily,
  type CounterSeries,
  HistogramFamily,
  type HistogramSeries,
  type PrometheusMetric,
} from './metric-series.ts'

const secondsShort = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const secondsLong = [0.01, 0.05, 0.1, 0.25, 0.3, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600]

const maxRemembered = 4_000

export interface LoadGauges {
  inFlight(): number
  waiting(): number
  bodyBytes(): number
}

interface AnswerSeries {
  answers: CounterSeries
  duration: HistogramSeries
  prompt: CounterSeries
  cached: CounterSeries
  completion: CounterSeries
  retries: CounterSeries
  ttft: HistogramSeries
  queue: HistogramSeries
}

const prefix = 'holon_'
/** Milliseconds, 24 days: the longest that a timer can be set to. */
const seldom = 2 ** 31 - 1

/**
 * What the process takes. How late its event loop is, as a distribution, is left out: it is found by a timer that fires
 * every 10 ms, which made a hub without a request wake a hundred times a second. `holon_nodejs_eventloop_lag_seconds` stays, which is looked
 * at when asked for.
 */
function collectOwnMetrics(register: Registry): void {
  collectDefaultMetrics({ register, prefix, eventLoopMonitoringPrecision: seldom })
  for (const which of ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99']) {
    register.removeSingleMetric(`${prefix}nodejs_eventloop_lag_${which}_seconds`)
  }
}

export class Metrics {
  private readonly registry = new Registry()
  private readonly responses: CounterFamily
  private readonly answers: CounterFamily
  private readonly tokens: CounterFamily
  private readonly ttft: HistogramFamily
  private readonly gapFamily: HistogramFamily
  private readonly duration: HistogramFamily
  private readonly queue: HistogramFamily
  private readonly retries: CounterFamily
  /** By route, then by status. */
  private readonly ofResponse = new Map<string, Map<number, CounterSeries>>()
  private readonly ofAnswer = new Map<string, AnswerSeries>()
  private readonly gapsOf = new Map<string, StreamGaps>()

  constructor() {
    collectOwnMetrics(this.registry)
    const model = ['model']
    this.responses = new CounterFamily('holon_http_responses_total', 'Responses of the OpenAI surface.', [
      'route',
      'status',
    ])
    this.answers = new CounterFamily('holon_requests_total', 'Requests that reached a model.', [
      'model',
      'node',
      'endpoint',
      'status',
    ])
    this.tokens = new CounterFamily('holon_tokens_total', 'Tokens read and generated.', ['model', 'kind'])
    this.retries = new CounterFamily(
      'holon_retries_total',
      'Requests sent again after an engine broke.',
      model,
    )
    this.ttft = new HistogramFamily(
      'holon_time_to_first_token_seconds',
      'From the request to the first event of its stream.',
      model,
      secondsLong,
    )
    this.gapFamily = new HistogramFamily(
      'holon_inter_token_seconds',
      'Between two pieces of a stream.',
      model,
      secondsShort,
    )
    this.duration = new HistogramFamily(
      'holon_request_duration_seconds',
      'From the request to the end of its answer.',
      ['model', 'endpoint'],
      secondsLong,
    )
    this.queue = new HistogramFamily(
      'holon_queue_seconds',
      'From the request to the moment it went to the engine.',
      model,
      secondsLong,
    )
    for (const family of [
      this.responses,
      this.answers,
      this.tokens,
      this.retries,
      this.ttft,
      this.gapFamily,
      this.duration,
      this.queue,
    ]) {
      this.register(family)
    }
  }

  /** Gauges read when somebody asks. */
  watch(load: LoadGauges): void {
    this.gauge('holon_requests_in_flight', 'Requests at an engine now.', load.inFlight)
    this.gauge('holon_requests_waiting', 'Requests waiting for a load or their turn.', load.waiting)
    this.gauge('holon_request_body_bytes', 'Bytes of request bodies in memory.', load.bodyBytes)
  }

  response(route: string, status: number): void {
    let ofRoute = this.ofResponse.get(route)
    if (!ofRoute) {
      ofRoute = new Map()
      this.ofResponse.set(route, ofRoute)
    }
    let series = ofRoute.get(status)
    if (!series) {
      series = this.responses.with(route, String(status))
      ofRoute.set(status, series)
    }
    series.value++
  }

  answer(record: AnswerRecord): void {
    const series = this.seriesOf(record)
    series.answers.value++
    series.prompt.value += record.promptTokens
    series.cached.value += record.cachedTokens
    series.completion.value += record.completionTokens
    series.retries.value += record.retries
    if (record.ttftMs !== null) series.ttft.observe(record.ttftMs / 1000)
    series.queue.observe(record.queueMs / 1000)
    series.duration.observe(record.durationMs / 1000)
  }

  /** All that one answer counts in, found by one look-up instead of one for each. */
  private seriesOf({ model, node, endpoint, status }: AnswerRecord): AnswerSeries {
    const key = `${model}\n${node}\n${endpoint}\n${status}`
    let series = this.ofAnswer.get(key)
    if (!series) {
      series = {
        answers: this.answers.with(model, node, endpoint, String(status)),
        duration: this.duration.with(model, endpoint),
        prompt: this.tokens.with(model, 'prompt'),
        cached: this.tokens.with(model, 'cached'),
        completion: this.tokens.with(model, 'completion'),
        retries: this.retries.with(model),
        ttft: this.ttft.with(model),
        queue: this.queue.with(model),
      }
      // The families bound themselves; this only remembers what they said.
      if (this.ofAnswer.size >= maxRemembered) this.ofAnswer.clear()
      this.ofAnswer.set(key, series)
    }
    return series
  }

  /** Held by a stream for its life, so that a token costs no look-up. */
  gaps(model: string): StreamGaps {
    let gaps = this.gapsOf.get(model)
    if (!gaps) {
      const series = this.gapFamily.with(model)
      gaps = { observe: (ms) => series.observe(ms / 1000) }
      this.gapsOf.set(model, gaps)
    }
    return gaps
  }

  get contentType(): string {
    return this.registry.contentType
  }

  text(): Promise<string> {
    return this.registry.metrics()
  }

  private gauge(name: string, help: string, read: () => number): void {
    const gauge: Gauge = new Gauge({
      name,
      help,
      registers: [this.registry],
      collect: () => gauge.set(read()),
    })
  }

  private register(metric: PrometheusMetric): void {
    this.registry.registerMetric(metric as unknown as Metric)
  }
}
