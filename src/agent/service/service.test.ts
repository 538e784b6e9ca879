import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { launchdPlist } from './launchd.ts'
import { serviceSpec } from './service-spec.ts'
import { systemdText } from './systemd.ts'

const wish = {
  verb: 'join' as const,
  node: '/usr/local/bin/node',
  program: '/opt/holon & co/dist/cli/main.js',
  user: 'ada',
  home: '/home/ada/.holon',
  env: {
    HOLON_ENGINE: 'embedded',
    HOLON_MODELS_DIR: '/data/100% mine/$models "here"',
    HOLON_API_KEY: 'secret',
    HF_TOKEN: 'secret',
    DATABASE_URL: 'postgres://secret',
    HOLON_JOIN_TOKEN: 'secret',
  },
}

test('the launchd file is a daemon’s, with what the service needs and no secret', () => {
  const plist = launchdPlist(serviceSpec(wish))
  expect(plist).not.toContain('secret')
  expect(plist).toMatchInlineSnapshot(`
    "<?xml version="1.0" encoding="UTF-8"?>
    <!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
    <plist version="1.0">
    <dict>
      <key>Label</key>
      <string>dev.holon.node</string>
      <key>ProgramArguments</key>
      <array>
        <string>/usr/local/bin/node</string>
        <string>/opt/holon &amp; co/dist/cli/main.js</string>
        <string>join</string>
      </array>
      <key>UserName</key>
      <string>ada</string>
      <key>WorkingDirectory</key>
      <string>/home/ada/.holon</string>
      <key>EnvironmentVariables</key>
      <dict>
        <key>HOLON_HOME</key>
        <string>/home/ada/.holon</string>
        <key>HOLON_ENGINE</key>
        <string>embedded</string>
        <key>HOLON_MODELS_DIR</key>
        <string>/data/100% mine/$models &quot;here&quot;</string>
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
      <string>/home/ada/.holon/logs/service.log</string>
      <key>StandardErrorPath</key>
      <string>/home/ada/.holon/logs/service.log</string>
    </dict>
    </plist>
    "
  `)
})

test('the systemd unit runs as its user, and tries again unless it was used wrongly', () => {
  const unit = systemdText(serviceSpec(wish))
  expect(unit).not.toContain('secret')
  expect(unit).toMatchInlineSnapshot(`
    "[Unit]
    Description=Holon: this machine's language models, for its fleet
    Wants=network-online.target
    After=network-online.target
    StartLimitIntervalSec=0

    [Service]
    Type=exec
    User=ada
    WorkingDirectory=/home/ada/.holon
    ExecStart="/usr/local/bin/node" "/opt/holon & co/dist/cli/main.js" "join"
    Environment="HOLON_HOME=/home/ada/.holon"
    Environment="HOLON_ENGINE=embedded"
    Environment="HOLON_MODELS_DIR=/data/100%% mine/$models \\"here\\""
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
    "
  `)
})

test('a service serves as the shell would that installed it: its address, its engines and where it finds them, its certificate by whole path', () => {
  const PATH = '/home/ada/mlx/bin:/usr/bin'
  const env = {
    PATH,
    HOLON_PORT: '8000',
    HOLON_ATTACH: 'vllm',
    HOLON_PRELOAD: 'a,b',
    HOLON_TLS_CERT: 'cert.pem',
  }
  expect(serviceSpec({ ...wish, env }).environment).toEqual({
    HOLON_HOME: wish.home,
    ...env,
    HOLON_TLS_CERT: resolve('cert.pem'),
  })
})

describe.skipIf(!existsSync('/usr/bin/systemd-analyze'))('systemd itself', () => {
  test.each(['join', 'up'] as const)('finds no fault with the unit of `holon %s`', (verb) => {
    const folder = mkdtempSync(join(tmpdir(), 'holon-unit-'))
    const program = join(folder, 'holon 100% "$HOME" main.js')
    writeFileSync(program, '')
    const spec = serviceSpec({ ...wish, verb, user: 'root', node: process.execPath, program })
    const path = join(folder, 'holon.service')
    writeFileSync(path, systemdText(spec))
    try {
      const said = execFileSync('systemd-analyze', ['verify', '--man=no', path], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      expect(said).toBe('')
    } catch (error) {
      const { stderr, stdout } = error as { stderr?: string; stdout?: string }
      throw new Error(`${stdout ?? ''}${stderr ?? String(error)}`)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

test('what no service file can hold is refused', () => {
  const bad = [{ home: '/home/a\nUser=root' }, { user: 'ada; rm' }, { env: { HOLON_ENGINE: 'a\0b' } }]
  for (const more of bad) {
    expect(() => serviceSpec({ ...wish, ...more })).toThrow(expect.objectContaining({ code: 'usage' }))
  }
})
