/** What a Windows machine says about itself: one PowerShell question, the registry and nvidia-smi. */
import { arch, availableParallelism, freemem, release, totalmem } from 'node:os'
import type { Gpu } from '../protocol/machine.ts'
import { readNvidia } from './nvidia.ts'
import type { Run } from './run-command.ts'
import type { SystemFacts } from './system-facts.ts'
import { usableOnGpus } from './usable-memory.ts'

/** Starting PowerShell takes most of a second, so it is asked once for everything. */
const question = [
  '[Console]::OutputEncoding=[Text.Encoding]::UTF8;',
  '@{cpu=@(Get-CimInstance Win32_Processor|Select-Object Name,NumberOfCores);',
  'gpu=@(Get-CimInstance Win32_VideoController|Select-Object Name,DriverVersion);',
  'os=@(Get-CimInstance Win32_OperatingSystem|Select-Object Caption,Version)}|ConvertTo-Json -Depth 4 -Compress',
].join('')

export const displayClass =
  'HKLM\\SYSTEM\\CurrentControlSet\\Control\\Class\\{4d36e968-e325-11ce-bfc1-08002be10318}'

interface Answer {
  cpu: { name: string; cores: number | null }[]
  gpu: { name: string; driver: string | null }[]
  os: { name: string; version: string } | null
}

/** PowerShell 5 turns a list of one into an object and back at will: both are taken. */
export function parseCim(text: string | null): Answer {
  let data: Record<string, unknown> = {}
  try {
    data = JSON.parse(text ?? '') as Record<string, unknown>
  } catch {
    // Not answered, or not in time: the operating system's own figures must do.
  }
  const rows = (key: string) => [data?.[key] ?? []].flat() as Record<string, unknown>[]
  const word = (value: unknown) => (typeof value === 'string' ? value.trim() : null)
  const os = rows('os')[0]
  return {
    cpu: rows('cpu').map((row) => ({
      name: word(row.Name) ?? 'unknown processor',
      cores: typeof row.NumberOfCores === 'number' ? row.NumberOfCores : null,
    })),
    gpu: rows('gpu').map((row) => ({
      name: word(row.Name) ?? 'unknown GPU',
      driver: word(row.DriverVersion),
    })),
    os: os ? { name: word(os.Caption) ?? 'Windows', version: word(os.Version) ?? release() } : null,
  }
}

/** `reg query … /s /v NAME`: the value by the subkey it is in. */
export function parseRegistry(text: string | null): Map<string, string> {
  const values = new Map<string, string>()
  let key = ''
  for (const line of (text ?? '').split(/\r?\n/)) {
    if (line.startsWith('HKEY_')) key = line.trim()
    const value = /^\s+\S+\s+REG_\w+\s+(.+)$/.exec(line)?.[1]
    if (value !== undefined && key) values.set(key, value.trim())
  }
  return values
}

/** Memory by the card's name. WMI's own figure stops at 4 GiB; the registry's has 64 bits. */
export function cardMemory(names: Map<string, string>, sizes: Map<string, string>): Map<string, number> {
  const memory = new Map<string, number>()
  for (const [key, name] of names) {
    const size = Number(sizes.get(key))
    if (Number.isFinite(size) && size > 0) memory.set(name, size)
  }
  return memory
}

function otherGpus(answer: Answer, memory: Map<string, number>): Gpu[] {
  return answer.gpu.flatMap(({ name, driver }): Gpu[] => {
    const vendor = /radeon|amd/i.test(name) ? 'amd' : /intel/i.test(name) ? 'intel' : null
    if (vendor === null) return []
    // "AMD Radeon(TM) Graphics" and "Intel(R) UHD Graphics" are parts of a processor; cards carry a model number.
    const unified = !/\bRX ?\d|\bPRO W\d|\bVII\b|\bArc(\(TM\))? [AB]\d/i.test(name)
    return [
      {
        ...{ name, vendor, cores: null, memoryUsedBytes: null, unified, driver },
        memoryBytes: unified ? null : (memory.get(name) ?? null),
      },
    ]
  })
}

export async function readWindows(run: Run): Promise<SystemFacts> {
  const registry = (value: string) => run('reg', ['query', displayClass, '/s', '/v', value])
  const [cimText, nvidia, names, sizes] = await Promise.all([
    run('powershell.exe', ['-NoProfile', '-NonInteractive', '-Command', question], { timeoutMs: 10_000 }),
    readNvidia(run),
    registry('DriverDesc'),
    registry('HardwareInformation.qwMemorySize'),
  ])
  const answer = parseCim(cimText)
  const gpus = [...nvidia, ...otherGpus(answer, cardMemory(parseRegistry(names), parseRegistry(sizes)))]
  const cores = answer.cpu.map((cpu) => cpu.cores)
  return {
    os: { platform: 'win32', ...(answer.os ?? { name: 'Windows', version: release() }), arch: arch() },
    chip: answer.cpu[0]?.name ?? null,
    cpuCores: {
      physical:
        cores.length > 0 && cores.every((count) => count !== null) ? cores.reduce((a, b) => a + b, 0) : null,
      logical: availableParallelism(),
      performance: null,
    },
    // Windows tells its flags only to native programs.
    cpuFlags: [],
    gpus,
    memory: { totalBytes: totalmem(), availableBytes: freemem() },
    usable: usableOnGpus(gpus, totalmem()),
  }
}
