import { field, rows, text, texts } from './ask.ts'
import type { KnownServer } from './known-server.ts'

/** Ollama: known by its own API, for others speak that one too but without digests. */
export const ollama: KnownServer = {
  id: 'ollama',
  title: 'Ollama',
  port: 11_434,
  async recognise(_models, ask) {
    const [greeting, tags] = await Promise.all([ask('/'), ask('/api/tags')])
    const models = rows(tags?.json, 'models')
    const looksLikeIt = models.length > 0 && models.every((model) => text(model, 'digest'))
    if (!greeting?.text.startsWith('Ollama is running') && !looksLikeIt) return null
    if (!Array.isArray(field(tags?.json, 'models'))) return null
    return { version: text((await ask('/api/version'))?.json, 'version'), models: texts(models, 'name') }
  },
  commands: ['ollama'],
  places: ['/Applications/Ollama.app', '~/AppData/Local/Programs/Ollama/ollama.exe'],
  // The last is where the Linux service, which has a user of its own, keeps them.
  modelFolders: ['~/.ollama/models/manifests', '/usr/share/ollama/.ollama/models/manifests'],
  modelDepth: 4,
  /** manifests/registry.ollama.ai/library/llama3.2/1b is `llama3.2:1b` to its user. */
  modelName([registry, owner, model, tag]) {
    if (!registry || !owner || !model || !tag) return null
    const host = registry === 'registry.ollama.ai' ? '' : `${registry}/`
    return `${host}${host === '' && owner === 'library' ? '' : `${owner}/`}${model}:${tag}`
  },
  start: 'Start it with `ollama serve`, or open the app.',
}
