import { createRequire } from 'node:module'
import { dirname } from 'node:path'

/**
 * The part of the native llama.cpp binding (the prebuilt addon of node-llama-cpp 3.22.1) that Holon uses, typed.
 * We speak to the addon itself, not to the package's JavaScript: one batch loop of our own costs less per token,
 * starts in a third of the time, needs 30 MB instead of 85, and can never shift a context silently.
 * The pack is pinned by checksum, so this interface cannot move under us.
 */
export interface NativeModule {
  AddonModel: new (path: string, options: NativeModelOptions) => NativeModel
  AddonContext: new (model: NativeModel, options: NativeContextOptions) => NativeContext
  AddonSampler: new (model: NativeModel) => NativeSampler
  AddonGrammar: new (gbnf: string, options: { addonExports: NativeModule }) => NativeGrammar
  AddonGrammarEvaluationState: new (model: NativeModel, grammar: NativeGrammar) => NativeGrammarState
  setLogger(logger: (level: number, message: string) => void): void
  /** 2 error, 3 warning, 4 info. */
  setLoggerLogLevel(level: number): void
  loadBackends(folder?: string): void
  init(): Promise<void>
  /** undefined until a backend is loaded, false for CPU only. */
  getGpuType(): string | false | undefined
  getGpuVramInfo(): { total: number; used: number; unifiedSize: number }
  getMathCores(): number
  getIsArchSupported(architecture: string): boolean
  systemInfo(): string
}

export interface NativeModelOptions {
  addonExports: NativeModule
  gpuLayers: number
  useMmap: boolean
  onLoadProgress?: (fraction: number) => void
}

export interface NativeModel {
  /** False when the file could not be loaded; the reason is in the log. */
  init(): Promise<boolean>
  tokenize(text: string, special: boolean): Uint32Array
  detokenize(tokens: Uint32Array, special?: boolean): string
  getTrainContextSize(): number
  getEmbeddingVectorSize(): number
  getTotalSize(): number
  getTotalParameters(): number
  /** Negative when the model has none. */
  tokenBos(): number
  tokenEos(): number
  sepToken(): number
  getTokenString(token: number): string | undefined
  getTokenAttributes(token: number): number
  isEogToken(token: number): boolean
  getVocabularyType(): number
  shouldPrependBosToken(): boolean
  shouldAppendEosToken(): boolean
}

export interface NativeContextOptions {
  /** Cells for all sequences together; each sequence gets an equal share of its own. */
  contextSize: number
  batchSize: number
  sequences: number
  flashAttention: boolean | 'auto'
  threads: number
  embeddings?: boolean
}

export interface NativeContext {
  init(): Promise<boolean>
  dispose(): Promise<void>
  getContextSize(): number
  /** Starts a new batch; must precede every decode. */
  initBatch(size: number): void
  /** Returns the place of each wanted logit in the batch. */
  addToBatch(sequence: number, first: number, tokens: Uint32Array, logits: Uint32Array): Uint32Array
  decodeBatch(): Promise<void>
  /** The next token, or -1 when the grammar leaves none. */
  sampleToken(logit: number, sampler: NativeSampler): Promise<number>
  sampleToken(
    logit: number,
    sampler: NativeSampler,
    probabilities: boolean,
    confidence: boolean,
    logits: readonly [tokens: number[], max: boolean, min: boolean, selected: boolean, top: number],
    weight: boolean,
  ): Promise<
    [
      token: number,
      probabilities: undefined,
      confidence: undefined,
      logits: number[] | undefined,
      weight: number,
    ]
  >
  disposeSequence(sequence: number): void
  /** False when this kind of memory (recurrent, sliding window) cannot forget a part. */
  removeTokenCellsFromSequence(sequence: number, from: number, to: number): boolean
  getEmbedding(tokens: number): Float64Array
  setThreads(threads: number): void
}

export interface NativeSamplerConfig {
  temperature: number
  topK: number
  topP: number
  minP: number
  seed: number
  repeatPenalty?: number
  repeatPenaltyMaxTokens?: number
  repeatPenaltyTokens?: Uint32Array
  repeatPenaltyPresencePenalty?: number
  repeatPenaltyFrequencyPenalty?: number
  tokenBiasKeys?: Uint32Array
  tokenBiasValues?: Float32Array
  grammarEvaluationState?: NativeGrammarState
}

export interface NativeSampler {
  applyConfig(config: NativeSamplerConfig): void
  dispose(): void
}
export interface NativeGrammar {
  isTextCompatible(text: string): boolean
}
export type NativeGrammarState = object

/** Token attribute bits and vocabulary kinds, as llama.h numbers them. */
export const attribute = { control: 1 << 3, userDefined: 1 << 4, byte: 1 << 5 } as const
export const vocabularyKind = { sentencePiece: 1, bytePair: 2, wordPiece: 3, unigram: 4 } as const

/** Loads the addon and its backends. Only ever called in the engine's own process. */
export async function loadNative(
  file: string,
  onLog: (level: number, line: string) => void,
): Promise<NativeModule> {
  const native = createRequire(import.meta.url)(file) as NativeModule
  native.setLogger(onLog)
  // Warnings and worse: the hundred lines of every load cost time and tell nobody anything.
  native.setLoggerLogLevel(3)
  native.loadBackends()
  // The CPU variants and GPU backends lie beside the addon; without this the process has no device at all.
  if (!native.getGpuType()) native.loadBackends(dirname(file))
  await native.init()
  return native
}
