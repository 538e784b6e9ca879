/**
 * What hub and members say to each other about pools: several machines that serve one model as one node. A pool is
 * launched as a group of parts, one per member, in order of rank; rank 0 is the head, whose engine answers requests.
 * A part lives no longer than the stream that opened it, so a hub that vanishes leaves no process behind.
 */
import { z } from 'zod'
import type { EngineLease } from './lease.ts'
import type { LoadProgress } from './model.ts'
import { modelHeader } from './model-header.ts'
import type { WeightMember } from './pool-weights.ts'

export const poolEngineIds = ['llama-rpc', 'mlx', 'exo', 'vllm', 'attached'] as const
export type PoolEngineId = (typeof poolEngineIds)[number]

/** Engines that are clusters by themselves: one member speaks for all of their machines, and Holon joins none of them. */
export const clusterEngineIds: ReadonlySet<string> = new Set<PoolEngineId>(['exo', 'attached'])

const port = z.number().int().min(1).max(65_535)
const word = z.string().min(1).max(200)

export const linkKinds = ['loopback', 'ethernet', 'wifi', 'thunderbolt', 'virtual', 'other'] as const
/** One address of a machine, and the cable or radio behind it. */
export const networkInterface = z.object({
  name: word,
  address: z.string().max(64),
  prefix: z.number().int().min(0).max(128).nullable(),
  kind: z.enum(linkKinds),
  /** Line rate in bits per second as the system tells it; null when it does not. */
  lineBitS: z.number().positive().nullable(),
})
export type NetworkInterface = z.infer<typeof networkInterface>

/** What one machine measured on the way to another. Bytes per second are payload of one TCP stream. */
export const linkProbe = z.object({
  /** The interface that the packets really left by, which may not be the one that was asked for. */
  via: networkInterface,
  throughputBytesS: z.number().nonnegative(),
  /** Round trip of a small message, milliseconds: median, and the 95th percentile less the median. */
  rttMs: z.number().nonnegative(),
  jitterMs: z.number().nonnegative(),
})
export type LinkProbe = z.infer<typeof linkProbe>

export const modelCut = z.object({
  layers: z.number().int().positive(),
  /** A tensor split gives every member the same number of both. */
  heads: z.number().int().positive(),
  kvHeads: z.number().int().positive(),
  /** Splits that the engine has for this architecture. */
  strategies: z.array(z.enum(['pipeline', 'tensor'])),
})
/** Where an engine can cut a model, read from its header where the model lies. */
export type ModelCut = z.infer<typeof modelCut>

/** The machines of a cluster that a member speaks for, as the cluster tells them. */
export const clusterMachine = z.object({
  name: word,
  /** As its maker calls it; null when the cluster does not tell. */
  chip: word.nullable(),
  memoryBytes: z.number().nonnegative(),
  freeBytes: z.number().nonnegative(),
})
export type ClusterMachine = z.infer<typeof clusterMachine>

/** One way in which a cluster would place the model now. */
export const clusterOffer = z.object({
  strategy: z.enum(['pipeline', 'tensor']),
  /** Names of the machines that would take part. */
  machines: z.array(word).min(1).max(64),
  rdma: z.boolean(),
})
export type ClusterOffer = z.infer<typeof clusterOffer>

export const clusterFacts = z.object({
  machines: z.array(clusterMachine).max(64),
  /** The best of each strategy. Empty when it has room in none, or does not tell. */
  offers: z.array(clusterOffer).max(16),
})

/** What a machine brings to a pool for one engine and model, looked at without starting anything. */
export const memberFacts = z.object({
  /** Why it cannot take part, in one sentence with what to do; null when it can. */
  whyNot: z.string().max(2000).nullable(),
  /** Members whose builds differ refuse each other: engine version and wire protocol, e.g. `llama.cpp v0.5.0 rpc 7.0`. */
  build: z.string().max(200).nullable(),
  /** What the engine computes on here, in its own names (`RPC`-side devices such as `CPU`, `MTL0`, `CUDA0`). */
  devices: z.array(word).max(64),
  /** Absolute path of the model here (file or folder), null when it is not on this machine. */
  modelPath: z.string().max(4096).nullable(),
  modelBytes: z.number().nonnegative().nullable(),
  /** Told by engines that cannot cut everywhere, on machines that have the model. */
  cut: modelCut.nullish(),
  diskFreeBytes: z.number().nonnegative().nullable(),
  memory: z.object({ budgetBytes: z.number(), usedBytes: z.number() }),
  interfaces: z.array(networkInterface).max(64),
  /** The model as its header on this machine tells it; absent when it is not here or cannot be read. */
  header: modelHeader.nullish(),
  /** Of an engine that is a cluster by itself and tells of its machines. */
  cluster: clusterFacts.nullish(),
})
export type MemberFacts = z.infer<typeof memberFacts>

export const peerAddress = z.object({ rank: z.number().int().min(0), host: z.string().max(255), port })
export type PeerAddress = z.infer<typeof peerAddress>

/** What one member is asked to run. */
export const partSpec = z.object({
  pool: word,
  /** New for every launch of the group: parts of different launches never talk to each other. */
  launch: word,
  engine: z.enum(poolEngineIds),
  rank: z.number().int().min(0).max(255),
  size: z.number().int().min(1).max(256),
  model: word,
  /** The engine's own, made by its `layout` and checked by its `open`. */
  settings: z.record(z.string(), z.unknown()),
  wire: z.object({
    /** Address of this member to listen on for its peers; null when no peer dials it. */
    host: z.string().max(255).nullable(),
    /**
     * `encrypted`: engine traffic stays on loopback and travels inside TLS with a secret per pair of members.
     * `isolated`: the engine itself listens on `host`; only on a point-to-point link that the owner accepted by name.
     */
    mode: z.enum(['encrypted', 'isolated']),
    /** One secret for each pair of members of this launch, base64url of 32 random bytes; kept in memory only. */
    peers: z.array(z.object({ rank: z.number().int().min(0), secret: z.string().min(40).max(64) })).max(255),
  }),
})
export type PartSpec = z.infer<typeof partSpec>

/** One member's part of a launched group. */
export interface RunningPart {
  /** Resident memory of the engine's processes, bytes; null when it is not known. */
  memoryBytes: number | null
  /** Rank 0 only: holds the head's engine for one request, exactly like any other engine. */
  lease: (() => EngineLease) | null
}

/** A part that has opened its end of the wire and waits to hear where its peers are. */
export interface OpenPart {
  /** Where its peers reach it; null when none has to. */
  readonly listening: { host: string; port: number } | null
  /**
   * Starts the engine. Resolves when the part does its work: for rank 0, when a real token has come out.
   * @throws HolonError model_load_failed, model_too_big, engine_unavailable, pool_wire_failed; the part has ended then
   */
  start(
    peers: readonly PeerAddress[],
    options: { signal: AbortSignal; onProgress?: (progress: LoadProgress) => void },
  ): Promise<RunningPart>
  /** Resolves with one sentence when the part ended without being told to: process, wire, or the way to the member. */
  readonly died: Promise<string>
  /** Ends processes, wires and ports of the part. Resolves when they are gone; never rejects. */
  stop(): Promise<void>
}

/** What a machine does for pools. The local agent offers it directly, a remote one through the tunnel. */
export interface PoolMember {
  inspect(question: { engine: PoolEngineId; model: string }): Promise<MemberFacts>
  /** The files of models here; absent where they cannot be given or taken. */
  readonly weights?: WeightMember
  /** @throws HolonError when the part cannot be opened; nothing is left behind then */
  open(spec: PartSpec, signal: AbortSignal): Promise<OpenPart>
  /** Listens for one probe of a peer for at most a minute. `secret` as in a wire. */
  awaitProbe(at: { host: string; secret: string }, signal: AbortSignal): Promise<{ port: number }>
  /** Measures the way to a peer that awaits it. @throws HolonError link_probe_failed */
  probe(to: { host: string; port: number; secret: string }, signal: AbortSignal): Promise<LinkProbe>
}
