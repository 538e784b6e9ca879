import { type KnownServer, noModelsOnDisk, openaiModels, ownedBy } from './known-server.ts'

/** exo: its list is its whole catalogue of models it could fetch; asked for the downloaded ones it lists what is here. */
export const exo: KnownServer = {
  id: 'exo',
  title: 'exo',
  port: 52_415,
  async recognise(models, ask) {
    if (!ownedBy('exo', models)) return null
    const here = openaiModels(await ask('/v1/models?status=downloaded'))
    return { version: null, models: (here ?? []).map((model) => model.id) }
  },
  commands: ['exo'],
  places: ['/Applications/EXO.app'],
  ...noModelsOnDisk,
  start: 'Open the EXO app, or run `uv run exo` where it was cloned.',
}
