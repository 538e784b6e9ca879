import { describe, expect, it } from 'vitest'
import { runCommand } from './run-command.ts'

const node = (program: string, limits = {}) => runCommand(process.execPath, ['-e', program], limits)

describe('runCommand', () => {
  it('gives what the tool wrote', async () => {
    expect(await node('process.stdout.write("hello")')).toBe('hello')
  })

  it('answers null for a tool that is not installed', async () => {
    expect(await runCommand('holon-no-such-tool', [])).toBeNull()
  })

  it('answers null for a tool that fails, even when it wrote something', async () => {
    expect(await node('process.stdout.write("half"); process.exitCode = 3')).toBeNull()
  })

  it('stops a tool that hangs', async () => {
    expect(await node('setInterval(() => {}, 1000)', { timeoutMs: 300 })).toBeNull()
  })

  it('stops a tool that hangs and ignores SIGTERM', async () => {
    const stubborn = 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)'
    expect(await node(stubborn, { timeoutMs: 500 })).toBeNull()
  })

  it('stops a tool that writes without end', async () => {
    const endless = 'const write = () => process.stdout.write("x".repeat(65536), write); write()'
    expect(await node(endless, { maxBytes: 100_000 })).toBeNull()
  })

  it('does not wait for a grandchild that keeps the output open', async () => {
    const forks =
      'require("child_process").spawn(process.execPath, ["-e", "setTimeout(() => {}, 4000)"], { stdio: ["ignore", "inherit", "ignore"], detached: true }).unref(); process.stdout.write("done")'
    expect(await node(forks, { timeoutMs: 1000 })).toBe('done')
  })

  it('speaks English to the tool, whatever the language of the user', async () => {
    expect(await node('process.stdout.write(process.env.LC_ALL)')).toBe('C')
  })
})
