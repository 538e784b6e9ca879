import { HolonError } from '../../core/errors.ts'
import type { Home } from '../../core/home.ts'
import type { EngineDriver } from '../engine.ts'
import { detectLlamaServer, findLlamaServer, llamaServerPlaces } from './detect.ts'
import { installLlamaServer } from './install.ts'
import { launchLlamaServer } from './launch.ts'
import { llamaServerParameters } from './parameters.ts'

/** llama.cpp's own server, one process per model. */
export function llamaServerDriver(
  home: Home,
  places: () => readonly string[] = () => llamaServerPlaces(home),
): EngineDriver {
  return {
    id: 'llama-server',
    title: 'llama.cpp, llama-server',
    parameters: llamaServerParameters,
    detect: () => detectLlamaServer(places()),
    install: (options) => installLlamaServer(home, places, options),
    launch: async (spec) => {
      const binary = await findLlamaServer(places())
      if (!binary) {
        throw new HolonError('engine_unavailable', 'llama-server is not installed.', {
          hint: 'Run `holon engines install llama.cpp`.',
        })
      }
      return launchLlamaServer(binary, home, spec)
    },
  }
}
