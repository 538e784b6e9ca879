/** Installing, removing and asking after the service, by the system's own tools. */
import { execFile } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { HolonError } from '../../core/errors.ts'
import { launchdLabel, launchdPath, launchdPlist } from './launchd.ts'
import type { ServiceSpec } from './service-spec.ts'
import { systemdPath, systemdText, systemdUnit } from './systemd.ts'

export interface ServiceStatus {
  installed: boolean
  running: boolean
  path: string
  /** One line in the system's own words. */
  detail: string
}

/** How this machine keeps programs running. */
export interface ServiceManager {
  readonly path: string
  text(spec: ServiceSpec): string
  /** @throws HolonError usage when this user may not, internal when the system refuses */
  install(spec: ServiceSpec): Promise<void>
  /** False when there was none. */
  uninstall(): Promise<boolean>
  status(): Promise<ServiceStatus>
}

/** @throws HolonError usage where there is neither launchd nor systemd */
export function serviceManager(platform: NodeJS.Platform = process.platform): ServiceManager {
  if (platform === 'darwin') return manager(launchdPath, launchdPlist, launchd)
  if (platform === 'linux' && existsSync('/etc/systemd')) return manager(systemdPath, systemdText, systemd)
  throw new HolonError(
    'usage',
    'Holon installs services with launchd and systemd, and this system has neither.',
    {
      hint: 'Start `holon join` by the means your system has.',
    },
  )
}

interface Tools {
  start(): Promise<void>
  stop(): Promise<void>
  removed(): Promise<void>
  ask(): Promise<{ running: boolean; detail: string }>
}

const launchd: Tools = {
  start: () => must('launchctl', ['bootstrap', 'system', launchdPath]),
  stop: async () => void (await run('launchctl', ['bootout', `system/${launchdLabel}`])),
  removed: async () => undefined,
  ask: async () => {
    const { out } = await run('launchctl', ['print', `system/${launchdLabel}`])
    const state = /^\s*state = (.+)$/m.exec(out)?.[1] ?? 'not loaded'
    return { running: state === 'running', detail: state }
  },
}

const systemd: Tools = {
  start: async () => {
    await must('systemctl', ['daemon-reload'])
    await must('systemctl', ['enable', systemdUnit])
    await must('systemctl', ['restart', systemdUnit])
  },
  stop: async () => void (await run('systemctl', ['disable', '--now', systemdUnit])),
  removed: async () => void (await run('systemctl', ['daemon-reload'])),
  ask: async () => {
    const { out } = await run('systemctl', ['is-active', systemdUnit])
    const state = out.trim() || 'unknown'
    return { running: state === 'active', detail: state }
  },
}

function manager(path: string, text: (spec: ServiceSpec) => string, tools: Tools): ServiceManager {
  return {
    path,
    text,
    install: async (spec) => {
      requireRoot()
      await tools.stop()
      writeFileSync(path, text(spec), { mode: 0o644 })
      await tools.start()
    },
    uninstall: async () => {
      if (!existsSync(path)) return false
      requireRoot()
      await tools.stop()
      rmSync(path, { force: true })
      await tools.removed()
      return true
    },
    status: async () => {
      const installed = existsSync(path)
      const { running, detail } = installed ? await tools.ask() : { running: false, detail: 'not installed' }
      return { installed, running, path, detail }
    },
  }
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return
  throw new HolonError('usage', 'A service of the system is changed by its administrator only.', {
    hint: 'Run the same command with sudo.',
  })
}

interface Done {
  code: number
  out: string
  err: string
}

function run(program: string, args: string[]): Promise<Done> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: 60_000, encoding: 'utf8' }, (error, out, err) => {
      const code = error ? (typeof error.code === 'number' ? error.code : 1) : 0
      resolve({ code, out, err: err || (error?.message ?? '') })
    })
  })
}

async function must(program: string, args: string[]): Promise<void> {
  const { code, err } = await run(program, args)
  if (code === 0) return
  throw new HolonError('internal', `${program} ${args.join(' ')} failed: ${err.trim().slice(0, 500)}`, {
    hint: 'The lines above are the words of the system; the service file was written.',
  })
}
