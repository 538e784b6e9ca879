/**
 * Counters and histograms that cost an addition on the hot path. prom-client hashes the labels of every observation,
 * which the relay would pay several times per request; here a series is looked up once and held. prom-client still
 * gathers and prints them: each object below has the shape its registry asks of a metric.
 */

interface Sample {
  value: number
  labels: Record<string, string | number>
  metricName?: string
}

export interface PrometheusMetric {
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  aggregator: 'sum'
  get(): Promise<{ name: string; help: string; type: string; aggregator: 'sum'; values: Sample[] }>
}

/** More label combinations than this are counted together under the labels' value "other". */
const maxSeries = 1000

abstract class Family<Series> implements PrometheusMetric {
  readonly name: string
  readonly help: string
  readonly aggregator = 'sum'
  abstract readonly type: 'counter' | 'histogram'
  private readonly labelNames: readonly string[]
  private readonly series = new Map<string, { labels: Record<string, string>; series: Series }>()

  constructor(name: string, help: string, labelNames: readonly string[]) {
    this.name = name
    this.help = help
    this.labelNames = labelNames
  }

  /** The series with these label values, in the order of the names. */
  with(...values: string[]): Series {
    const key = values.join('\n')
    let entry = this.series.get(key)
    if (!entry) {
      if (this.series.size >= maxSeries && values.some((value) => value !== 'other')) {
        return this.with(...values.map(() => 'other'))
      }
      const labels = Object.fromEntries(this.labelNames.map((name, index) => [name, values[index] ?? '']))
      entry = { labels, series: this.create() }
      this.series.set(key, entry)
    }
    return entry.series
  }

  async get() {
    const values: Sample[] = []
    for (const { labels, series } of this.series.values()) this.sample(series, labels, values)
    return { name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values } as const
  }

  protected abstract create(): Series
  protected abstract sample(series: Series, labels: Record<string, string>, into: Sample[]): void
}

export interface CounterSeries {
  value: number
}

export class CounterFamily extends Family<CounterSeries> {
  readonly type = 'counter'

  protected create(): CounterSeries {
    return { value: 0 }
  }

  protected sample(series: CounterSeries, labels: Record<string, string>, into: Sample[]): void {
    into.push({ value: series.value, labels })
  }
}

export class HistogramSeries {
  readonly bounds: readonly number[]
  /** Observations per bucket, the last one being above all bounds. */
  readonly counts: Float64Array
  sum = 0

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = new Float64Array(bounds.length + 1)
  }

  observe(value: number): void {
    let bucket = 0
    while (bucket < this.bounds.length && value > this.bounds[bucket]!) bucket++
    this.counts[bucket]!++
    this.sum += value
  }
}

export class HistogramFamily extends Family<HistogramSeries> {
  readonly type = 'histogram'
  private readonly bounds: readonly number[]

  constructor(name: string, help: string, labelNames: readonly string[], bounds: readonly number[]) {
    super(name, help, labelNames)
    this.bounds = bounds
  }

  protected create(): HistogramSeries {
    return new HistogramSeries(this.bounds)
  }

  protected sample(series: HistogramSeries, labels: Record<string, string>, into: Sample[]): void {
    let total = 0
    for (let bucket = 0; bucket < series.counts.length; bucket++) {
      total += series.counts[bucket]!
      const le = series.bounds[bucket] ?? '+Inf'
      into.push({ value: total, labels: { ...labels, le }, metricName: `${this.name}_bucket` })
    }
    into.push({ value: series.sum, labels, metricName: `${this.name}_sum` })
    into.push({ value: total, labels, metricName: `${this.name}_count` })
  }
}
