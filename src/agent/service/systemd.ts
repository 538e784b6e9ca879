/** A system unit that runs as the user who installed it: it starts with the machine and needs nobody logged in. */
import type { ServiceSpec } from './service-spec.ts'

export const systemdUnit = 'holon.service'
export const systemdPath = `/etc/systemd/system/${systemdUnit}`

export function systemdText(spec: ServiceSpec): string {
  return `[Unit]
Description=Holon: this machine's language models, for its fleet
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
User=${spec.user}
WorkingDirectory=${directory(spec.home)}
ExecStart=${spec.command.map(word).join(' ')}
${Object.entries(spec.environment)
  .map(([name, value]) => `Environment=${quoted(`${name}=${value}`)}`)
  .join('\n')}
Restart=on-failure
RestartSec=30
# Used wrongly: trying again would change nothing.
RestartPreventExitStatus=2
KillMode=mixed
TimeoutStopSec=20
LimitNOFILE=8192
NoNewPrivileges=yes
ProtectSystem=full
PrivateTmp=yes
UMask=0077

[Install]
WantedBy=multi-user.target
`
}

/** One word of a command line: `$` and `%` mean something to systemd. */
function word(text: string): string {
  return quoted(text.replaceAll('$', '$$$$'))
}

function quoted(text: string): string {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%')
  return `"${escaped}"`
}

/** Takes no quotes. */
function directory(path: string): string {
  return path.replaceAll('%', '%%')
}
