/** Resident memory of an engine's process, looked at now and then for as long as its part lives. */
import { residentMemory } from '../../profile/process-memory.ts'

const lookEveryMs = 5_000

export class MeasuredMemory {
  /** Bytes; null until it was looked at, and where the system does not tell. */
  bytes: number | null = null
  private readonly pid: number
  private readonly timer: NodeJS.Timeout

  constructor(pid: number) {
    this.pid = pid
    this.timer = setInterval(() => void this.look(), lookEveryMs)
    void this.look()
  }

  stop(): void {
    clearInterval(this.timer)
  }

  async look(): Promise<void> {
    this.bytes = (await residentMemory([this.pid])).get(this.pid) ?? this.bytes
  }
}
