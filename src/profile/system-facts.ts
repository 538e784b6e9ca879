/** What each system's file (`darwin.ts`, `linux.ts`, `windows.ts`) finds out. Whatever the system does not tell is null. */
import type { Gpu, MachineProfile, ThunderboltPort } from '../protocol/machine.ts'

export interface SystemFacts {
  os: MachineProfile['os']
  chip: string | null
  cpuCores: MachineProfile['cpuCores']
  cpuFlags: string[]
  gpus: Gpu[]
  memory: { totalBytes: number; availableBytes: number }
  usable: Usable
  thunderbolt?: ThunderboltPort[]
}

/** What a model may occupy, and how that was found out, as one sentence without its full stop. */
export interface Usable {
  bytes: number
  how: string
}
