import { text } from './ask.ts'
import { type KnownServer, openaiModels } from './known-server.ts'

/**
 * mlx_lm.server names itself nowhere. It is known by what it is made of: Python's own web server, models that belong to
 * nobody, and a health answer. Its list is what lies in the Hugging Face cache, not what is loaded.
 */
export const mlx: KnownServer = {
  id: 'mlx',
  title: 'MLX (mlx_lm.server)',
  port: 8080,
  async recognise(models, ask) {
    if (!/^BaseHTTP\/\S+ Python\//.test(String(models?.headers.server ?? ''))) return null
    const list = openaiModels(models)
    if (!list || list.some((model) => model.ownedBy !== null)) return null
    if (text((await ask('/health'))?.json, 'status') !== 'ok') return null
    return { version: null, models: list.map((model) => model.id) }
  },
  commands: ['mlx_lm.server'],
  places: [],
  modelFolders: ['~/.cache/huggingface/hub'],
  modelDepth: 1,
  modelName: ([folder]) =>
    folder?.startsWith('models--mlx-community--') ? folder.slice('models--'.length).replace('--', '/') : null,
  start: 'Start it with `mlx_lm.server --model MODEL --port 8080`.',
}
