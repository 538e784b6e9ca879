import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Home } from '../../core/home.ts'
import { MB } from '../../core/units.ts'
import type { EngineFound } from '../../protocol/machine.ts'
import { choosePackage, type PackMachine, type PackPackage, packLlamaCpp, packVersion } from './packages.ts'

/** Where the pack is, or would be. */
export function packFolder(home: Home): string {
  return join(home.engines, `embedded-${packVersion}`)
}

/** Written last, into a pack that is whole. */
export interface PackRecord {
  package: string
  version: string
  integrity: string
  /** The addon, relative to the pack's folder. */
  native: string
  nativeBytes: number
}
export const recordName = 'pack.json'

/** The addon's absolute path when a whole pack for this machine is here, else null. */
export function findNative(home: Home, wanted: PackPackage): string | null {
  const folder = packFolder(home)
  try {
    const record = JSON.parse(readFileSync(join(folder, recordName), 'utf8')) as PackRecord
    const native = join(folder, record.native)
    const whole = record.package === wanted.name && statSync(native).size === record.nativeBytes
    return whole ? native : null
  } catch {
    return null
  }
}

export async function detectEmbedded(home: Home, machine: PackMachine = thisMachine()): Promise<EngineFound> {
  const found: EngineFound = {
    id: 'embedded',
    available: false,
    version: packLlamaCpp,
    path: null,
    url: null,
    models: [],
    whyNot: null,
    hint: null,
  }
  const wanted = choosePackage(machine)
  if (!wanted) {
    found.whyNot = `There is no engine pack for ${machine.platform} on ${machine.arch}.`
    found.hint = 'Install llama.cpp (`holon engines install llama.cpp`) or attach another engine.'
    return found
  }
  found.devices = wanted.gpu ? [wanted.gpu, 'cpu'] : ['cpu']
  found.path = findNative(home, wanted)
  found.available = found.path !== null
  if (!found.available) {
    found.onFirstUse = true
    found.whyNot = 'The engine pack has not been fetched yet.'
    found.hint = `It comes with the first model loaded (${Math.round(wanted.bytes / MB)} MB).`
  }
  return found
}

/** What this machine offers an engine pack. Looks at files only: no driver is woken for it. */
export function thisMachine(): PackMachine {
  const { platform, arch } = process
  if (platform === 'linux') {
    const libraries = linuxLibraries()
    const nvidia = existsSync('/proc/driver/nvidia/version')
    const has = (start: string): boolean => libraries.some((name) => name.startsWith(start))
    return {
      platform,
      arch,
      cuda: nvidia && has('libcuda.so') && has('libcudart.so') && has('libcublas.so'),
      vulkan: has('libvulkan.so') && existsSync('/dev/dri'),
    }
  }
  if (platform === 'win32') {
    const system = process.env.SystemRoot ?? 'C:\\Windows'
    return {
      platform,
      arch,
      cuda: existsSync(join(system, 'System32', 'nvcuda.dll')) && process.env.CUDA_PATH !== undefined,
      vulkan: existsSync(join(system, 'System32', 'vulkan-1.dll')),
    }
  }
  return { platform, arch, cuda: false, vulkan: false }
}

function linuxLibraries(): string[] {
  const folders = [
    '/usr/lib/x86_64-linux-gnu',
    '/usr/lib/aarch64-linux-gnu',
    '/usr/lib64',
    '/usr/lib',
    '/usr/local/cuda/lib64',
    ...(process.env.LD_LIBRARY_PATH ?? '').split(':').filter((folder) => folder.startsWith('/')),
  ]
  return folders.flatMap((folder) => {
    try {
      return readdirSync(folder).filter((name) => /^lib(cuda|cudart|cublas|vulkan)\.so/.test(name))
    } catch {
      return []
    }
  })
}
