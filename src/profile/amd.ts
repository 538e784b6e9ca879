/** AMD GPUs, from what the amdgpu driver writes into /sys. ROCm need not be installed. */
import type { Gpu } from '../protocol/machine.ts'

/** What lies in /sys/class/drm/cardN/device; null for a file that is not there. */
export interface DrmDevice {
  /** Lower-case hex with 0x, as in the files. */
  vendor: string | null
  device: string | null
  revision: string | null
  uevent: string | null
  product_name: string | null
  mem_info_vram_total: string | null
  mem_info_vram_used: string | null
  mem_info_gtt_total: string | null
  mem_info_gtt_used: string | null
}

/** Graphics inside a processor, which use main memory. The driver does not mark them, their device ids do. */
const integrated = new Set([
  ...['0x15dd', '0x15d8', '0x1636', '0x1638', '0x164c'], // Raven, Picasso, Renoir, Cezanne, Lucienne
  ...['0x163f', '0x1681', '0x164e', '0x1506', '0x13c0'], // Van Gogh, Rembrandt, Raphael, Mendocino, Granite Ridge
  ...['0x15bf', '0x15c8', '0x1900', '0x1901', '0x150e', '0x1114', '0x1586'], // Phoenix, Hawk, Strix, Krackan, Strix Halo
])

export function amdGpu(card: DrmDevice, ids: { amdgpuIds: string | null; pciIds: string | null }): Gpu {
  const unified = integrated.has(card.device ?? '')
  const sum = (vram: string | null, gtt: string | null) => {
    const own = bytes(vram)
    // A processor's GPU uses its carve-out and, beyond it, main memory through the GTT.
    return own === null ? null : own + (unified ? (bytes(gtt) ?? 0) : 0)
  }
  return {
    name: amdName(card, ids),
    vendor: 'amd',
    cores: null,
    memoryBytes: sum(card.mem_info_vram_total, card.mem_info_gtt_total),
    memoryUsedBytes: sum(card.mem_info_vram_used, card.mem_info_gtt_used),
    unified,
    driver: driverOf(card),
  }
}

export function driverOf(card: DrmDevice): string | null {
  return /^DRIVER=(.+)$/m.exec(card.uevent ?? '')?.[1] ?? null
}

function bytes(text: string | null): number | null {
  const value = (text ?? '').trim()
  return /^\d+$/.test(value) ? Number(value) : null
}

function amdName(card: DrmDevice, ids: { amdgpuIds: string | null; pciIds: string | null }): string {
  const told = card.product_name?.trim()
  if (told) return told
  return (
    nameInAmdgpuIds(ids.amdgpuIds, card.device, card.revision) ??
    nameInPciIds(ids.pciIds, card.vendor, card.device) ??
    `AMD GPU ${card.device ?? 'of unknown id'}`
  )
}

/** libdrm's list: `744C,\tC8,\tAMD Radeon RX 7900 XTX`. */
export function nameInAmdgpuIds(
  text: string | null,
  device: string | null,
  revision: string | null,
): string | null {
  const wanted = [device, revision].map((id) => (id ?? '').replace(/^0x/, '').toUpperCase().trim())
  for (const line of (text ?? '').split('\n')) {
    const [id, rev, name] = line.split(',').map((cell) => cell.trim())
    if (name && id === wanted[0] && rev?.padStart(2, '0') === wanted[1]?.padStart(2, '0')) return name
  }
  return null
}

/** The list that lspci uses: a vendor at the margin, its devices after one tab, their boards after two. */
export function nameInPciIds(
  text: string | null,
  vendor: string | null,
  device: string | null,
): string | null {
  const [vendorId, deviceId] = [vendor, device].map((id) => (id ?? '').replace(/^0x/, '').trim())
  let here = false
  for (const line of (text ?? '').split('\n')) {
    if (/^[0-9a-f]{4} /.test(line)) here = line.startsWith(`${vendorId} `)
    else if (here && line.startsWith(`\t${deviceId} `)) return line.slice(6).trim()
  }
  return null
}
