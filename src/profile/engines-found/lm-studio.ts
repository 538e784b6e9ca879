import { field, rows, texts } from './ask.ts'
import type { KnownServer } from './known-server.ts'

/** LM Studio: its OpenAI list looks like anyone's, its own API does not. v1 came with 0.4, v0 with 0.3.6. */
export const lmStudio: KnownServer = {
  id: 'lmstudio',
  title: 'LM Studio',
  port: 1234,
  async recognise(_models, ask) {
    const own = (await ask('/api/v1/models'))?.json
    const v1 = rows(own, 'models')
    // Without any model yet, its answer to a question it does not know gives it away.
    const puzzled = () => ask('/').then((answer) => answer?.text.includes('Unexpected endpoint or method'))
    if (Array.isArray(field(own, 'models')) && v1.length === 0 && (await puzzled()))
      return { version: null, models: [] }
    if (v1.length > 0 && v1.every((model) => Array.isArray(field(model, 'loaded_instances')))) {
      return { version: null, models: texts(v1, 'key') }
    }
    const v0 = rows((await ask('/api/v0/models'))?.json, 'data')
    if (v0.length > 0 && v0.every((model) => typeof field(model, 'compatibility_type') === 'string')) {
      return { version: null, models: texts(v0, 'id') }
    }
    return null
  },
  commands: ['lms'],
  places: [
    '~/.lmstudio/bin/lms',
    '/Applications/LM Studio.app',
    '~/AppData/Local/Programs/LM Studio/LM Studio.exe',
  ],
  modelFolders: ['~/.lmstudio/models', '~/.cache/lm-studio/models'],
  modelDepth: 2,
  modelName: ([publisher, model]) => (publisher && model ? `${publisher}/${model}` : null),
  start: 'Start its server with `lms server start`.',
}
