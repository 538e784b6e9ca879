/**
 * What is remembered of a model's use on this machine: how often it is asked for, at which hours of the day, how long it
 * takes to load and how fast it answers. Pure and small: counts that fade, so that yesterday weighs less than today.
 */
import { median } from '../../core/median.ts'
import type { AnswerStats } from '../../protocol/node.ts'

export interface SavedHistory {
  /** Requests, faded to half every three hours, as of `usesAtMs`. */
  uses: number
  usesAtMs: number
  /** The last day seen, counted since the epoch; times of day are UTC's, since only their return matters. */
  day: number
  /** Days seen, and days with a request in each hour; both fade by a fifth a day. */
  daysSeen: number
  hourDays: number[]
  /** The last measurements, newest last. */
  loadsS: number[]
  prefillTokS: number[]
  decodeTokS: number[]
}

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const halfLifeMs = 3 * hourMs
const dayFades = 0.8
/** Fewer requests than this tell no rhythm. */
const fewestUses = 3
/** Fewer days than this tell no habit; faded, so it takes three. */
const fewestDays = 2.4
const measurementsKept = 9
/** Shorter ones measure the start and not the speed. */
const fewestTokens = 16

export class ModelHistory {
  private readonly saved: SavedHistory
  private readonly hoursToday = new Set<number>()

  constructor(saved?: SavedHistory) {
    this.saved = saved ?? {
      uses: 0,
      usesAtMs: 0,
      day: 0,
      daysSeen: 0,
      hourDays: Array.from({ length: 24 }, () => 0),
      loadsS: [],
      prefillTokS: [],
      decodeTokS: [],
    }
  }

  asked(nowMs: number): void {
    const { saved } = this
    saved.uses = this.recentUses(nowMs) + 1
    saved.usesAtMs = nowMs
    const today = Math.floor(nowMs / dayMs)
    if (saved.day !== today) this.turnDay(today)
    const hour = hourOf(nowMs)
    // Each hour counts once a day: a busy morning is still one morning.
    if (!this.hoursToday.has(hour)) saved.hourDays[hour] = (saved.hourDays[hour] ?? 0) + 1
    this.hoursToday.add(hour)
  }

  loaded(tookMs: number): void {
    keep(this.saved.loadsS, tookMs / 1000)
  }

  answered({ promptTokens, cachedTokens, completionTokens, prefillTokS, decodeTokS }: AnswerStats): void {
    if (prefillTokS !== null && promptTokens - cachedTokens >= fewestTokens)
      keep(this.saved.prefillTokS, prefillTokS)
    if (decodeTokS !== null && completionTokens >= fewestTokens) keep(this.saved.decodeTokS, decodeTokS)
  }

  get loadS(): number | null {
    return middle(this.saved.loadsS)
  }

  get prefillTokS(): number | null {
    return middle(this.saved.prefillTokS)
  }

  get decodeTokS(): number | null {
    return middle(this.saved.decodeTokS)
  }

  /** Requests, faded. */
  recentUses(nowMs: number): number {
    return this.saved.uses * 0.5 ** (Math.max(0, nowMs - this.saved.usesAtMs) / halfLifeMs)
  }

  /** The usual time between two requests; null when there were too few to tell. Milliseconds. */
  usualGapMs(nowMs: number): number | null {
    const uses = this.recentUses(nowMs)
    return uses < fewestUses ? null : halfLifeMs / Math.LN2 / uses
  }

  /** How probable a request is in the hour that holds `thenMs`, by the days before; 0 while too few are known. */
  habit(thenMs: number): number {
    const { saved } = this
    const ahead = Math.max(0, Math.floor(thenMs / dayMs) - saved.day)
    if (saved.daysSeen < fewestDays) return 0
    const fade = dayFades ** ahead
    // The days before that one: those seen, and those since without a request.
    const days = saved.daysSeen * fade + (dayFades - fade) / (1 - dayFades)
    return Math.min(1, ((saved.hourDays[hourOf(thenMs)] ?? 0) * fade) / days)
  }

  toJSON(): SavedHistory {
    return this.saved
  }

  private turnDay(today: number): void {
    const { saved } = this
    this.hoursToday.clear()
    const passed = saved.daysSeen === 0 ? 1 : Math.min(60, Math.max(1, today - saved.day))
    for (let day = 0; day < passed; day++) {
      saved.daysSeen = saved.daysSeen * dayFades + 1
      saved.hourDays = saved.hourDays.map((days) => days * dayFades)
    }
    saved.day = today
  }
}

/** One history per model, made when it is first needed. */
export class Histories {
  private readonly byModel: Map<string, ModelHistory>

  constructor(saved: Readonly<Record<string, SavedHistory>> = {}) {
    this.byModel = new Map(Object.entries(saved).map(([model, one]) => [model, new ModelHistory(one)]))
  }

  of(model: string): ModelHistory {
    let history = this.byModel.get(model)
    if (!history) {
      history = new ModelHistory()
      this.byModel.set(model, history)
    }
    return history
  }

  toJSON(): Record<string, SavedHistory> {
    return Object.fromEntries([...this.byModel].map(([model, history]) => [model, history.toJSON()]))
  }
}

function hourOf(ms: number): number {
  return Math.floor((ms % dayMs) / hourMs)
}

function keep(list: number[], value: number): void {
  if (!Number.isFinite(value) || value <= 0) return
  list.push(value)
  if (list.length > measurementsKept) list.shift()
}

function middle(list: readonly number[]): number | null {
  return list.length === 0 ? null : median(list)
}
