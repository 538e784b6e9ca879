/** Resident memory of an engine's process, looked at now and then for as long as its part lives. */
import { residentMemory } from '../../profile/process-memory.ts'

const lookEveryMs = 5_000

export class MeasuredMemory {
  /** Bytes; null until it was looked at, and where the system does not tell. */
  bytes: number | null = null
  private readonly timer: NodeJS.Timeout

  constructor(pid: number) {
    this.timer = setInterval(() => void this.look(pid), lookEveryMs)
    void this.look(pid)
  }

  stop(): void {
    clearInterval(this.timer)
  }

  private async look(pid: number): Promise<void> {
    this.bytes = (await residentMemory([pid])).get(pid) ?? this.bytes
  }
}
