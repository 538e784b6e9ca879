/** Machines for the page's tests: one with several models, one with only the demonstration model. */
import type { NodeModel, NodeState } from '../../src/protocol/index.ts'

const GB = 1e9

export function model(id: string, sizeBytes: number, changes: Partial<NodeModel> = {}): NodeModel {
  return {
    id,
    path: `/models/${id}.gguf`,
    source: `/models/${id}.gguf`,
    format: 'gguf',
    architecture: 'qwen3',
    name: id,
    quant: 'Q4_K_M',
    paramsTotal: null,
    sizeBytes,
    contextMax: 32_768,
    embedding: false,
    demo: false,
    problem: null,
    state: 'disk',
    progress: null,
    failure: null,
    ...changes,
  }
}

const studio: NodeState = {
  id: 'studio',
  name: 'studio',
  state: 'ready',
  profile: {
    hostname: 'studio',
    os: { platform: 'darwin', name: 'macOS', version: '26.1', arch: 'arm64' },
    chip: 'Apple M4 Max',
    chipId: 'm4-max-40c',
    cpuCores: { physical: 16, logical: 16, performance: 12 },
    cpuFlags: [],
    gpus: [
      {
        name: 'Apple M4 Max',
        vendor: 'apple',
        cores: 40,
        memoryBytes: 48 * GB,
        memoryUsedBytes: null,
        unified: true,
        driver: null,
      },
    ],
    memory: {
      totalBytes: 68_719_476_736,
      availableBytes: 31.5 * GB,
      usedByOthersBytes: 12 * GB,
      usableBytes: 51.5 * GB,
      usableHow: 'the wired limit of the GPU',
    },
    disk: { path: '/', totalBytes: 994 * GB, freeBytes: 412 * GB },
    bandwidth: [],
    engines: [],
  },
  engines: ['llama-server'],
  models: [
    model('qwen3-8b', 5.03 * GB, { paramsTotal: 8.19e9, state: 'ready' }),
    model('gemma-3-27b-it', 16.5 * GB, { paramsTotal: 27e9, architecture: 'gemma3' }),
    model('llama-3.3-70b-instruct', 42.5 * GB, { paramsTotal: 70.6e9, architecture: 'llama' }),
    model('nomic-embed-text', 0.27 * GB, {
      paramsTotal: 137e6,
      quant: 'F16',
      embedding: true,
      state: 'ready',
    }),
    model('half-a-file', 1.2 * GB, { quant: null, problem: 'The file ends before its tensors do.' }),
  ],
  running: [
    {
      id: 'qwen3-8b',
      engine: 'llama-server',
      pid: 4001,
      state: 'ready',
      progress: null,
      contextTokens: 16_384,
      parallel: 4,
      threads: 8,
      memoryBytes: 7.4 * GB,
      active: 0,
      decodeTokS: 71.4,
      prefillTokS: 880,
      loadedAt: 0,
      idleS: 12,
    },
    {
      id: 'nomic-embed-text',
      engine: 'llama-server',
      pid: 4002,
      state: 'ready',
      progress: null,
      contextTokens: 2048,
      parallel: 1,
      threads: 8,
      memoryBytes: 0.6 * GB,
      active: 0,
      decodeTokS: null,
      prefillTokS: 4100,
      loadedAt: 0,
      idleS: 400,
    },
  ],
  memory: { budgetBytes: 51.5 * GB, usedBytes: 8 * GB },
}

export const sampleNode = (): NodeState => structuredClone(studio)

export function demoNode(): NodeState {
  const node = sampleNode()
  return {
    ...node,
    models: [
      model('holon-demo', 9_100_000, { paramsTotal: 8.4e6, quant: 'Q8_0', demo: true, state: 'ready' }),
    ],
    running: [{ ...node.running[0]!, id: 'holon-demo', memoryBytes: 48_000_000, decodeTokS: 412 }],
    memory: { ...node.memory, usedBytes: 48_000_000 },
  }
}
