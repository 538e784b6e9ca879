import { expect, test } from 'vitest'
import { silentLog } from '../core/log.ts'
import { type AttachedModel, unknownModel } from '../engines/attached-engine.ts'
import { findAttachable } from '../engines/index.ts'
import { AttachedHost } from './attached-host.ts'
import { offeredModels } from './attached-view.ts'

const host = (id: string, url: string, ...names: string[]): AttachedHost => {
  const engine = findAttachable(id)!.attach({ url, headers: {}, models: [], parallel: null })
  return new AttachedHost({
    engine,
    explicit: true,
    now: () => 0,
    log: silentLog,
    changed: () => undefined,
    named: names,
  })
}
const idsOf = (hosts: AttachedHost[], taken: string[] = []) =>
  offeredModels(hosts, new Set(taken)).map(({ id }) => id)

test('an engine keeps its own names, with their colon and their slash', () => {
  const hosts = [
    host('ollama', 'http://127.0.0.1:1', 'llama3.2:3b'),
    host('vllm', 'http://127.0.0.1:2', 'org/m'),
  ]
  expect(idsOf(hosts)).toEqual(['llama3.2:3b', 'org/m'])
})

test('a name that is taken gets the engine behind it, then its address, so that ids stay unique', () => {
  const one = host('ollama', 'http://127.0.0.1:1', 'Qwen3')
  const two = host('openai', 'http://127.0.0.1:2', 'qwen3')
  const three = host('openai', 'http://127.0.0.1:3', 'qwen3')
  expect(idsOf([one, two, three], ['qwen3'])).toEqual(['Qwen3@ollama', 'qwen3@openai', 'qwen3@127.0.0.1:3'])
})

test('a model that is known by its folder is offered by the last part of it', () => {
  expect(idsOf([host('mlx', 'http://127.0.0.1:1', '/models/Qwen3-4B-4bit')])).toEqual(['Qwen3-4B-4bit'])
})

test('a model is named an embedding model by what engines call those, and by nothing else', () => {
  const isEmbedding = (name: string): AttachedModel['embedding'] => unknownModel(name).embedding
  expect(['nomic-embed-text:latest', 'BAAI/bge-m3', 'text-embedding-3-small'].every(isEmbedding)).toBe(true)
  expect(['llama3.2:3b', 'gemma-3e4', 'Qwen3-embedded-tools'].some(isEmbedding)).toBe(false)
})
