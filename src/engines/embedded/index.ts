import type { Home } from '../../core/home.ts'
import type { EngineDriver } from '../engine.ts'
import { detectEmbedded } from './detect.ts'
import { installEmbedded } from './install.ts'
import { launchEmbedded } from './launch.ts'
import { embeddedParameters } from './parameters.ts'

/** llama.cpp inside a Node process of its own: works on a bare machine, nothing to install but an npm package. */
export function embeddedDriver(home: Home): EngineDriver {
  return {
    id: 'embedded',
    title: 'llama.cpp, embedded',
    parameters: embeddedParameters,
    detect: () => detectEmbedded(home),
    install: async (options) => {
      await installEmbedded(home, options)
    },
    launch: async (spec) => {
      const native = await installEmbedded(home, spec)
      return launchEmbedded(native, home, spec)
    },
  }
}
