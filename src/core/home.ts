import { join } from 'node:path'

/** Where Holon keeps its state. One place names the folders, so that nothing is found by guessing. */
export interface Home {
  root: string
  /** Model files, one folder per source. */
  models: string
  /** Engine packs and built engines, one folder per engine and version. */
  engines: string
  /** What describes the running process: the lock, sockets, per-launch secrets. Safe to delete when stopped. */
  run: string
  /** The embedded database and the usage journal. */
  store: string
  logs: string
  /** Cached measurements of this machine (memory bandwidth, best thread counts). */
  cache: string
}

export function homeAt(root: string): Home {
  return {
    root,
    models: join(root, 'models'),
    engines: join(root, 'engines'),
    run: join(root, 'run'),
    store: join(root, 'store'),
    logs: join(root, 'logs'),
    cache: join(root, 'cache'),
  }
}
