import type { Command } from 'commander'
import { silentLog } from '../../core/log.ts'
import { formatBytes } from '../../core/units.ts'
import { createDrivers } from '../../engines/index.ts'
import { chips } from '../../facts/index.ts'
import { profileMachine } from '../../profile/profile-machine.ts'
import type { MachineProfile } from '../../protocol/machine.ts'
import type { Printer } from '../printer.ts'
import type { Shell } from '../shell.ts'

export function registerProfile(program: Command, shell: Shell): void {
  program
    .command('profile')
    .description('Say what this machine is: chip, memory, disk, memory bandwidth, engines with their models.')
    .option('--measure', 'measure the memory bandwidth now (3 s on all cores)')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, config }, { measure = false }: { measure?: boolean }) => {
        const { home } = config()
        const drivers = createDrivers({ home, log: silentLog })
        if (measure) printer.note('Measuring the memory bandwidth, about 3 s …')
        const profile = await profileMachine({ home, drivers, chips, measure })
        if (printer.json) printer.document(profile)
        else printProfile(printer, profile)
        if (measure && profile.bandwidth.length === 0) {
          printer.warn('Too little memory is free to measure its bandwidth: the caches would answer instead.')
        }
        return 0
      }),
    )
}

function printProfile(printer: Printer, profile: MachineProfile): void {
  const { os, cpuCores, memory, disk } = profile
  const row = (name: string, text: string) => printer.line(`${printer.faint(name.padEnd(12))}${text}`)
  printer.line(printer.strong(profile.chip) + (profile.chipId ? printer.faint(`  ${profile.chipId}`) : ''))
  row('machine', `${profile.hostname}, ${os.name} ${os.version} on ${os.arch}`)
  row('cores', coresText(cpuCores) + (profile.cpuFlags.length > 0 ? `; ${profile.cpuFlags.join(', ')}` : ''))
  for (const gpu of profile.gpus) row('GPU', gpuText(gpu))
  row(
    'memory',
    `${formatBytes(memory.totalBytes)}: ${formatBytes(memory.availableBytes)} free, ${formatBytes(memory.usedByOthersBytes)} held by others`,
  )
  row('for models', `${formatBytes(memory.usableBytes)} (${memory.usableHow})`)
  row('disk', `${formatBytes(disk.freeBytes)} free of ${formatBytes(disk.totalBytes)} at ${disk.path}`)
  for (const port of profile.thunderbolt ?? []) row('thunderbolt', thunderboltText(port))
  printer.line()
  printBandwidth(printer, profile.bandwidth)
  printer.line()
  printEngines(printer, profile.engines)
}

function coresText({ physical, logical, performance }: MachineProfile['cpuCores']): string {
  const cores = physical === null ? `${logical} threads` : `${physical} cores`
  const threads = physical !== null && logical !== physical ? `, ${logical} threads` : ''
  return `${cores}${performance === null ? '' : ` (${performance} performance)`}${threads}`
}

function gpuText(gpu: MachineProfile['gpus'][number]): string {
  const parts = [
    gpu.name,
    gpu.cores === null ? null : `${gpu.cores} cores`,
    gpu.memoryBytes === null ? null : `${formatBytes(gpu.memoryBytes)}${gpu.unified ? ' shared' : ''}`,
    gpu.memoryUsedBytes === null ? null : `${formatBytes(gpu.memoryUsedBytes)} used`,
    gpu.driver === null ? null : `driver ${gpu.driver}`,
  ]
  return parts.filter((part) => part !== null).join(', ')
}

function thunderboltText(port: NonNullable<MachineProfile['thunderbolt']>[number]): string {
  const speed = port.gbitS === null ? 'speed not told' : `${port.gbitS} Gbit/s`
  const peer = port.peerName ? ` to ${port.peerName}${port.peerRdma ? ', RDMA offered' : ''}` : ''
  return `port ${port.receptacle ?? '–'}: ${port.connected ? `connected${peer} at ${speed}` : `free, up to ${speed}`}`
}

function printBandwidth(printer: Printer, bandwidth: MachineProfile['bandwidth']): void {
  if (bandwidth.length === 0) {
    printer.line('The memory bandwidth was not measured yet: `holon profile --measure`.')
    return
  }
  const perSecond = (bytes: number) => `${formatBytes(bytes)}/s`
  printer.table(
    ['threads', 'memory read', 'copy (payload)', 'copy (on the bus, at least)', 'clock of a core'],
    bandwidth.map((figure) => [
      String(figure.threads),
      perSecond(figure.readBytesS),
      perSecond(figure.copyPayloadBytesS),
      perSecond(figure.copyBusBytesS),
      figure.clockHz === undefined ? '–' : `${(figure.clockHz / 1e9).toFixed(1)} GHz`,
    ]),
  )
  if (bandwidth.some((figure) => figure.disturbed)) {
    printer.line(
      'Other programs were busy meanwhile, so the memory is faster than this: measure again when it is quiet.',
    )
  }
}

function printEngines(printer: Printer, engines: MachineProfile['engines']): void {
  if (engines.length === 0) {
    printer.line('No engine was found.')
    return
  }
  printer.table(
    ['engine', 'state', 'version', 'where', 'computes on', 'models'],
    engines.map((engine) => [
      engine.id,
      stateText(engine),
      engine.version ?? '–',
      engine.url ?? engine.path ?? '–',
      engine.devices?.join(', ') ?? '–',
      modelsText(engine.models),
    ]),
  )
  for (const engine of engines) {
    if (engine.available || engine.onFirstUse) continue
    printer.line(printer.faint([`${engine.id}:`, engine.whyNot, engine.hint].filter(Boolean).join(' ')))
  }
}

function stateText(engine: MachineProfile['engines'][number]): string {
  if (engine.available) return engine.url ? 'running' : 'ready'
  if (engine.onFirstUse) return 'comes with the first model'
  return engine.path ? 'installed' : 'not usable'
}

function modelsText(models: readonly string[]): string {
  const shown = models.slice(0, 3).join(', ')
  return models.length > 3 ? `${shown} and ${models.length - 3} more` : shown || '–'
}
