import { expect, it } from 'vitest'
import { sample } from '../../test/profile/samples.ts'
import { amdGpu, nameInAmdgpuIds, nameInPciIds } from './amd.ts'

const amdgpuIds = sample('linux-strix-halo/usr/share/libdrm/amdgpu.ids')
const pciIds = sample('linux-rx-7900-xtx/usr/share/misc/pci.ids')
const bare = {
  ...{ vendor: '0x1002', device: '0x744c', revision: '0xc8', uevent: 'DRIVER=amdgpu\n', product_name: null },
  ...{
    mem_info_vram_total: null,
    mem_info_vram_used: null,
    mem_info_gtt_total: null,
    mem_info_gtt_used: null,
  },
}

it('names a card by device and revision: one device id is several cards', () => {
  expect(nameInAmdgpuIds(amdgpuIds, '0x744c', '0xc8')).toBe('AMD Radeon RX 7900 XTX')
  expect(nameInAmdgpuIds(amdgpuIds, '0x744c', '0xcc')).toBe('AMD Radeon RX 7900 XT')
  expect(nameInAmdgpuIds(amdgpuIds, '0x744c', '0x01')).toBeNull()
  expect(nameInAmdgpuIds(amdgpuIds, '0x1309', '0x0')).toBe('AMD Radeon R7 Graphics')
})

it('looks for a device only under its own maker', () => {
  expect(nameInPciIds(pciIds, '0x1002', '0x744c')).toContain('Navi 31')
  expect(nameInPciIds(pciIds, '0x1003', '0x744c')).toBeNull()
  expect(nameInPciIds(pciIds, '0x1002', '0x0201')).toBeNull()
})

it('falls back from the name the card tells to the lists, and then to its id', () => {
  const none = { amdgpuIds: null, pciIds: null }
  expect(amdGpu({ ...bare, product_name: 'Instinct MI300X' }, { amdgpuIds, pciIds }).name).toBe(
    'Instinct MI300X',
  )
  expect(amdGpu(bare, { amdgpuIds: null, pciIds }).name).toContain('Navi 31')
  expect(amdGpu(bare, none).name).toBe('AMD GPU 0x744c')
})

it('says nothing about memory that the driver does not tell', () => {
  expect(amdGpu(bare, { amdgpuIds, pciIds })).toMatchObject({ memoryBytes: null, memoryUsedBytes: null })
})
