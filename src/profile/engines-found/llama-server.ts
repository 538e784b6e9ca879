import { field, text } from './ask.ts'
import { type KnownServer, noModelsOnDisk, ownedBy } from './known-server.ts'

/** llama.cpp's server without a model of its own: it loads many, each in a process of its own. */
export const llamaRouter: KnownServer = {
  id: 'llama-router',
  title: 'llama-server in router mode',
  port: 8080,
  async recognise(models, ask) {
    const ids = ownedBy('llamacpp', models)
    if (ids === null && models?.headers.server !== 'llama.cpp') return null
    const props = (await ask('/props'))?.json
    return text(props, 'role') === 'router' ? { version: text(props, 'build_info'), models: ids ?? [] } : null
  },
  commands: [],
  places: [],
  ...noModelsOnDisk,
  start: 'Start llama-server without -m and with --models-dir FOLDER.',
}

/** llama.cpp's server that someone else started. Holon's own ones listen on ports of their own. */
export const llamaServer: KnownServer = {
  id: 'llama-server',
  title: 'llama-server',
  port: 8080,
  async recognise(models, ask) {
    const ids = ownedBy('llamacpp', models)
    if (ids) return { version: text((await ask('/props'))?.json, 'build_info'), models: ids }
    if (models?.headers.server !== 'llama.cpp') return null
    const loading = models.status === 503 && text(field(models.json, 'error'), 'message') === 'Loading model'
    return loading
      ? { version: null, models: [], whyNot: 'It is loading its model.', hint: 'Try again in a moment.' }
      : { version: null, models: [] }
  },
  commands: ['llama-server'],
  places: [],
  ...noModelsOnDisk,
  start: 'Holon starts it by itself when a model is loaded.',
}
