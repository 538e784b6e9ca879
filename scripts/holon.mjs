/** `./holon <command>` and `npm start`: the command line from source, ready on a fresh clone. */

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ensure, root } from './ensure.mjs'

ensure()
await import(pathToFileURL(join(root, 'dist', 'cli', 'main.js')).href)
