/** Can anything run a model here, and as fast as this machine could? Pure: all is in the profile already. */
import type { EngineFound, Gpu, MachineProfile } from '../../protocol/machine.ts'
import { computesOn, usableEngines } from '../gpu-use.ts'
import { type Check, checkCalled } from './check.ts'

/** Instruction sets an engine does not start without, on x64. From their makers' requirements. */
const needs: Record<string, { flag: string; name: string }> = {
  lmstudio: { flag: 'avx2', name: 'AVX2' },
  ollama: { flag: 'avx', name: 'AVX' },
}

export function checkEngines(profile: MachineProfile): Check[] {
  return [
    checkAvailable(profile.engines),
    checkInstructions(profile),
    checkGpuDriver(profile.gpus),
    checkGpuUse(profile),
  ].filter((check) => check !== null)
}

const nameOf = (engine: EngineFound) =>
  `${engine.id}${engine.version ? ` ${engine.version}` : ''}${engine.url ? ` at ${engine.url}` : ''}`

function checkAvailable(engines: readonly EngineFound[]): Check {
  const { ok, fail } = checkCalled('engines', 'Engines')
  const ready = engines.filter((engine) => engine.available)
  if (ready.length > 0) return ok(ready.map(nameOf).join(', '))
  const coming = engines.find((engine) => engine.onFirstUse)
  if (coming) return ok(`none yet; ${coming.id} is fetched when the first model is loaded`)
  const seen = engines.map((engine) => `${engine.id}: ${engine.whyNot ?? 'Not available.'}`)
  const hint = engines.find((engine) => engine.hint !== null)?.hint
  return fail(
    ['No engine can run a model here.', ...seen].join(' '),
    hint ?? 'Run `holon engines install embedded`.',
  )
}

/** Null where the flags are unknown (Windows) or mean nothing (Arm). */
function checkInstructions({ cpuFlags, os, engines }: MachineProfile): Check | null {
  if (os.arch !== 'x64' || cpuFlags.length === 0) return null
  const { ok, warn } = checkCalled('instructions', 'CPU instructions')
  const lacking = engines.flatMap((engine) => {
    const need = needs[engine.id]
    return need && !cpuFlags.includes(need.flag) ? [`${engine.id} needs ${need.name}`] : []
  })
  const hint =
    'Use the embedded engine or llama-server, which run on any x86-64 processor. A virtual machine may hide what the processor can: set its CPU type to "host".'
  if (lacking.length > 0) return warn(`this processor lacks what engines need: ${lacking.join(', ')}`, hint)
  if (!cpuFlags.includes('avx2')) {
    return warn('no AVX2: engines work, but several times slower than they could', hint)
  }
  return ok(cpuFlags.filter((flag) => /avx|amx/.test(flag)).join(', '))
}

/** A card whose driver does not tell its memory has no driver that computes. */
function checkGpuDriver(gpus: readonly Gpu[]): Check | null {
  const mute = gpus.find((gpu) => gpu.memoryBytes === null && !gpu.unified && gpu.vendor !== 'intel')
  if (!mute) return null
  const hints: Partial<Record<Gpu['vendor'], string>> = {
    nvidia: 'Install the NVIDIA driver, so that `nvidia-smi` lists the card.',
    amd: 'Install the amdgpu driver (on Windows the Adrenalin driver).',
  }
  return checkCalled('gpu-driver', 'GPU driver').warn(
    `${mute.name} is here, but no driver that can compute with it${mute.driver ? ` (only ${mute.driver})` : ''}`,
    hints[mute.vendor] ?? 'Install the driver of its maker.',
  )
}

const gpuHints: Partial<Record<Gpu['vendor'], string>> = {
  apple: 'Install llama.cpp with Metal: `holon engines install llama.cpp`.',
  nvidia: 'Install the CUDA runtime, or a CUDA or Vulkan build of llama.cpp with its llama-server in PATH.',
  amd: 'Install Vulkan, or a ROCm or Vulkan build of llama.cpp with its llama-server in PATH.',
}

/** A GPU that no engine uses is the costliest mistake there is. Only said when every ready engine tells its devices. */
function checkGpuUse({ gpus, engines }: MachineProfile): Check | null {
  const gpu = gpus.find((candidate) => gpuHints[candidate.vendor] && (candidate.memoryBytes ?? 0) > 3e9)
  const hint = gpu && gpuHints[gpu.vendor]
  const ready = usableEngines(engines)
  if (!gpu || !hint || ready.length === 0) return null
  const { ok, warn } = checkCalled('gpu', 'GPU')
  const user = ready.find((engine) => computesOn(engine, gpu))
  if (user) return ok(`${user.id} computes on ${gpu.name}`)
  if (ready.some((engine) => engine.devices === undefined)) {
    return ok(`${gpu.name}; which engine uses it is not known`)
  }
  const names = ready.map((engine) => engine.id).join(' and ')
  return warn(
    `${gpu.name} is idle: ${names} ${ready.length === 1 ? 'computes' : 'compute'} on the CPU only`,
    hint,
  )
}
