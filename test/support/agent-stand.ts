/** An agent over the fake engine, in a folder of its own with small models in it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Agent, type AgentOptions, createAgent } from '../../src/agent/agent.ts'
import { createModelStore } from '../../src/agent/models/model-store.ts'
import { systemClock } from '../../src/core/clock.ts'
import { homeAt } from '../../src/core/home.ts'
import { silentLog } from '../../src/core/log.ts'
import type { EngineDriver } from '../../src/engines/engine.ts'
import { writeGguf } from '../../src/formats/gguf/write-gguf.ts'

export class AgentStand {
  readonly folder = mkdtempSync(join(tmpdir(), 'holon-agent-'))
  private readonly agents: Agent[] = []

  /** A model of 1 MB; with the engine itself it is taken to need about 100 MB. */
  put(name: string): void {
    mkdirSync(join(this.folder, 'models'), { recursive: true })
    const bytes = writeGguf({
      metadata: { 'general.architecture': 'llama', 'llama.context_length': 4096, 'llama.block_count': 1 },
      tensors: [{ name: 'w', shape: [1_000_000], type: 'I8' }],
    })
    writeFileSync(join(this.folder, 'models', `${name}.gguf`), bytes)
  }

  async start(drivers: EngineDriver[], more: Partial<AgentOptions> = {}): Promise<Agent> {
    const home = homeAt(this.folder)
    const agent = await createAgent({
      home,
      drivers,
      models: createModelStore({ home, log: silentLog, demoPath: null }),
      memoryBudgetBytes: () => 1e9,
      clock: systemClock,
      log: silentLog,
      ...more,
      limits: { backoffMs: 20, failureHoldMs: 0, ...more.limits },
    })
    this.agents.push(agent)
    return agent
  }

  async end(): Promise<void> {
    await Promise.all(this.agents.splice(0).map((agent) => agent.close()))
    rmSync(this.folder, { recursive: true, force: true })
  }
}
