/**
 * A LaunchDaemon, not a LaunchAgent: since macOS 15 the agents of a user are refused the local network without a
 * question (EHOSTUNREACH at once), and daemons are exempt (Apple TN3179). So it runs from boot on, as the user who
 * installed it, whoever is logged in.
 */
import type { ServiceSpec } from './service-spec.ts'

export const launchdLabel = 'dev.holon.node'
export const launchdPath = `/Library/LaunchDaemons/${launchdLabel}.plist`

export function launchdPlist(spec: ServiceSpec): string {
  const environment = Object.entries(spec.environment)
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${launchdLabel}</string>
  <key>ProgramArguments</key>
  <array>
${spec.command.map((word) => `    <string>${xml(word)}</string>`).join('\n')}
  </array>
  <key>UserName</key>
  <string>${xml(spec.user)}</string>
  <key>WorkingDirectory</key>
  <string>${xml(spec.home)}</string>
  <key>EnvironmentVariables</key>
  <dict>
${environment.map(([name, value]) => `    <key>${xml(name)}</key>\n    <string>${xml(value)}</string>`).join('\n')}
  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>30</integer>
  <key>ExitTimeOut</key>
  <integer>20</integer>
  <key>ProcessType</key>
  <string>Interactive</string>
  <key>SoftResourceLimits</key>
  <dict>
    <key>NumberOfFiles</key>
    <integer>8192</integer>
  </dict>
  <key>StandardOutPath</key>
  <string>${xml(spec.home)}/logs/service.log</string>
  <key>StandardErrorPath</key>
  <string>${xml(spec.home)}/logs/service.log</string>
</dict>
</plist>
`
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

function xml(text: string): string {
  return text.replaceAll(/[&<>"]/g, (character) => entities[character] ?? '')
}
