/** A Python that says of itself that it has mlx-lm, and whose ranks do nothing but run; found as a person's own is. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** In the folder of engines of a home. Call it again for another version: what pip does. */
export function writeFakeMlx(engines: string, version: string): void {
  const bin = join(engines, 'mlx-fake', 'bin')
  mkdirSync(bin, { recursive: true })
  const python = join(bin, 'python3')
  const says = (what: object) => `echo '${JSON.stringify(what)}'`
  const script = [
    '#!/bin/sh',
    'case "$2" in',
    `  *importlib.metadata*) ${says({ mlx: version, mlxLm: version, device: 'cpu' })};;`,
    `  *MODEL_REMAPPING*) ${says({ known: true, tensor: true, pipeline: false })};;`,
    '  *) exec sleep 600;;',
    'esac',
  ]
  writeFileSync(python, `${script.join('\n')}\n`, { mode: 0o755 })
  writeFileSync(join(bin, 'mlx_lm.server'), `#!${python}\n# mlx-lm ${version}\n`, { mode: 0o755 })
}
