import { z } from 'zod'

/** One GPU, or the GPU part of a chip with unified memory. */
export const gpu = z.object({
  name: z.string(),
  vendor: z.enum(['apple', 'nvidia', 'amd', 'intel', 'other']),
  cores: z.number().int().nullable(),
  /** Total memory in bytes; for unified memory the share the GPU may use. */
  memoryBytes: z.number().nullable(),
  memoryUsedBytes: z.number().nullable(),
  unified: z.boolean(),
  driver: z.string().nullable(),
})
export type Gpu = z.infer<typeof gpu>

/** Memory bandwidth, measured. Payload is what a program moved; bus traffic counts reads and writes apart. */
export const bandwidth = z.object({
  threads: z.number().int(),
  /** Bytes per second read by `threads` threads in a plain read (payload = bus). */
  readBytesS: z.number(),
  /** Bytes per second copied (payload: each byte once). */
  copyPayloadBytesS: z.number(),
  /** Bytes per second on the bus during the copy: every byte is read and written. */
  copyBusBytesS: z.number(),
  /** Cycles per second of each core while `threads` threads only calculate; absent in what older versions measured. */
  clockHz: z.number().optional(),
  /** Other programs had the cores for much of the time, so the hardware is faster than this. */
  disturbed: z.boolean().optional(),
})

/** One Thunderbolt port of a Mac, as the system reports it. */
export const thunderboltPort = z.object({
  /** Number of the receptacle, as in "Thunderbolt 2" of the network settings; null when not told. */
  receptacle: z.number().int().nullable(),
  /** Identity of this port's bus; a peer names it as `peerDomain`, which makes the graph of cables. */
  domain: z.string().nullable(),
  /** Gbit/s: of the link when `connected`, else the most the port can do. */
  gbitS: z.number().nullable(),
  connected: z.boolean(),
  /** The machine at the other end, when it is a Mac. */
  peerName: z.string().nullable(),
  peerDomain: z.string().nullable(),
  /** The peer offers RDMA over this cable. */
  peerRdma: z.boolean(),
})
export type ThunderboltPort = z.infer<typeof thunderboltPort>

export const engineFound = z.object({
  id: z.string(),
  available: z.boolean(),
  version: z.string().nullable(),
  path: z.string().nullable(),
  /** A server that already runs, if that is how it was found. */
  url: z.string().nullable(),
  models: z.array(z.string()),
  whyNot: z.string().nullable(),
  hint: z.string().nullable(),
  /** What it computes on here, best first ("cpu", "metal", "cuda", "rocm", "vulkan"); absent when not known. */
  devices: z.array(z.string()).optional(),
  /** Not here yet, but Holon fetches it by itself when the first model is loaded. */
  onFirstUse: z.boolean().optional(),
})
export type EngineFound = z.infer<typeof engineFound>

/** Everything Holon knows about one machine's hardware. Unknown values are null, never guessed. */
export const machineProfile = z.object({
  hostname: z.string(),
  os: z.object({ platform: z.string(), name: z.string(), version: z.string(), arch: z.string() }),
  chip: z.string(),
  /** Id of the chip in the facts, when it is known there. */
  chipId: z.string().nullable(),
  cpuCores: z.object({
    physical: z.number().int().nullable(),
    logical: z.number().int(),
    performance: z.number().int().nullable(),
  }),
  cpuFlags: z.array(z.string()),
  gpus: z.array(gpu),
  memory: z.object({
    totalBytes: z.number(),
    /** What a new process could take now without swapping. */
    availableBytes: z.number(),
    usedByOthersBytes: z.number(),
    /** What a model may occupy: GPU wired limit, VRAM, or RAM less the reserve; with `how` it was got. */
    usableBytes: z.number(),
    usableHow: z.string(),
  }),
  disk: z.object({ path: z.string(), totalBytes: z.number(), freeBytes: z.number() }),
  bandwidth: z.array(bandwidth),
  /** Absent on machines that do not report their ports. */
  thunderbolt: z.array(thunderboltPort).optional(),
  engines: z.array(engineFound),
})
export type MachineProfile = z.infer<typeof machineProfile>
