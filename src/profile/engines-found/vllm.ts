import { text } from './ask.ts'
import { type KnownServer, noModelsOnDisk, ownedBy } from './known-server.ts'

export const vllm: KnownServer = {
  id: 'vllm',
  title: 'vLLM',
  port: 8000,
  async recognise(models, ask) {
    const ids = ownedBy('vllm', models)
    if (ids) return { version: text((await ask('/version'))?.json, 'version'), models: ids }
    // With --api-key everything below /v1 is closed, and says so in just this way; its version stays open.
    if (models?.status !== 401 || text(models.json, 'error') !== 'Unauthorized') return null
    const version = text((await ask('/version'))?.json, 'version')
    if (version === null) return null
    const hint = 'Attach it with its key: HOLON_ENGINE=openai and HOLON_ENGINE_URL.'
    return { version, models: [], whyNot: 'It asks for an API key.', hint }
  },
  commands: ['vllm'],
  places: [],
  ...noModelsOnDisk,
  start: 'Start it with `vllm serve MODEL`.',
}
