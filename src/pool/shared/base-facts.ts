/** What every engine's facts begin with: the memory, the disk and the model of this machine. */
import { readDisk } from '../../profile/disk.ts'
import type { MemberFacts } from '../../protocol/pool.ts'
import type { MemberHost } from '../pool-engine.ts'

/** Facts of a machine that can take part and has nothing to say yet of engine and model. */
export async function baseFacts(host: MemberHost): Promise<MemberFacts> {
  const disk = await readDisk(host.home.models).catch(() => null)
  return {
    whyNot: null,
    build: null,
    devices: [],
    modelPath: null,
    modelBytes: null,
    diskFreeBytes: disk?.freeBytes ?? null,
    memory: host.memory(),
    interfaces: [],
  }
}
