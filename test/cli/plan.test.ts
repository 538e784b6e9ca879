import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startCli } from '../support/cli.ts'

/** The planner's commands as a reader of the terminal and a script see them: exit code, stdout, stderr. */

let home: string
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'holon-plan-'))
})
afterAll(() => rmSync(home, { recursive: true, force: true }))

const holon = (...args: string[]) => startCli(args, { HOLON_HOME: home }).finished
const columns = (text: string) => text.trimEnd().split(/ {2,}/)

describe('holon plan', () => {
  it('answers first, then tables, reasons and what is not known', async () => {
    const { code, stdout, stderr } = await holon('plan', 'llama-3.3-70b', '--on', 'm4-max-40c:64gb')
    expect(stderr).toBe('')
    expect(code).toBe(0)
    const lines = stdout.split('\n')
    expect(lines[0]).toMatch(
      /^Yes: [\d.]+ \([\d.]+ to [\d.]+\) tok\/s on m4-max-40c:64gb; first token after [\d.]+ s\.$/,
    )
    expect(lines[1]).toBe(
      'llama-3.3-70b Q4_K_M, 42.4 GB of weights, 8192 tokens of context, 1024 of prompt, 1 at once',
    )
    expect(columns(lines[3]!)).toEqual([
      'placement',
      'engine',
      'fits',
      'decode tok/s',
      'prefill tok/s',
      'first token',
      'memory',
      'basis',
    ])
    expect(stdout).toContain('\n- needs 45 GB of 54 GB usable')
    expect(stdout).toContain('\n- loads in ')
    expect(stdout).toContain('\nNot known:\n- quant not stated: Q4_K_M assumed\n')
  })

  it.each([
    ['mlx-community/Qwen3-235B-A22B-4bit', 'qwen3-235b-a22b MLX_4bit_gs64,'],
    ['qwen3:8b-q8_0', 'qwen3-8b Q8_0,'],
  ])('takes the quant from a name that states it: %s', async (name, told) => {
    const { stdout } = await holon('plan', name, '--on', 'm3-ultra-80c:256gb')
    expect(stdout.split('\n')[1]).toContain(told)
    expect(stdout).not.toContain('quant not stated')
  })

  it('says no with the reason and exit code 1 when it fits nowhere', async () => {
    const { code, stdout, stderr } = await holon('plan', 'llama-3.3-70b', '--on', 'm4-10c:16gb')
    expect(code).toBe(1)
    expect(stderr).toBe('')
    expect(stdout).toMatch(/^No: m4-10c:16gb is \d+ GB short: 42 GB weights, /)
  })

  it('names the sources of model, quant, chips and link in its JSON as in its text', async () => {
    const words = ['plan', 'llama-3.3-70b', '--on', '2x m4-pro-20c:48gb', '--link', 'tb5-rdma', '--explain']
    const [text, json] = await Promise.all([holon(...words), holon(...words, '--json')])
    type Input = { kind: string; name: string; source: string; memoryBandwidthGbS?: number }
    const { recommended, placements } = JSON.parse(json.stdout) as {
      recommended: string
      placements: { id: string; explain?: { inputs: Input[] } }[]
    }
    const { inputs = [] } = placements.find(({ id }) => id === recommended)?.explain ?? {}
    expect(inputs.map(({ kind }) => kind)).toEqual(['model', 'quant', 'chip', 'link'])
    expect(inputs[2]).toMatchObject({ name: 'm4-pro-20c', memoryBandwidthGbS: 273 })
    for (const { source } of inputs) {
      expect(source).toMatch(/\w{3}/)
      expect(text.stdout).toContain(source)
    }
  })

  it('gives loading, requests in flight and drafting in its JSON', async () => {
    const { code, stdout } = await holon(
      'plan',
      'llama-3.3-70b',
      '--on',
      '2x m4-pro-20c:48gb',
      '--link',
      'tb5-rdma',
      '--draft',
      '4:0.7:0.1',
      '--json',
    )
    expect(code).toBe(0)
    const made = JSON.parse(stdout)
    const pipeline = made.placements.find(
      (placement: { strategy: string }) => placement.strategy === 'pipeline',
    )
    expect(pipeline.load.overLinkS).toBeGreaterThan(pipeline.load.fromDriveS)
    expect(pipeline.inFlight.map((step: { requests: number }) => step.requests)).toEqual([1, 2, 4])
    expect(pipeline.speculation.tokensPerStep).toBeCloseTo(2.7731, 4)
    expect(made.splitPrefill).toBeNull()
    expect(JSON.stringify(made)).not.toMatch(/NaN|Infinity/)
  })

  it.each([
    [['plan', 'lama-3.3-70', '--on', 'm4-max-40c'], 1, 'model'],
    [['plan', 'llama-3.3-70b', '--on', 'm9-ultra'], 1, 'Did you mean m'],
    [['plan', 'llama-3.3-70b', '--on', '0x m4-max-40c'], 1, 'from 1 to 1000'],
    [['plan', 'llama-3.3-70b', '--on', 'custom:-5:10'], 1, 'custom:546:128:16'],
    [['plan', 'llama-3.3-70b', '--on', 'm4-max-40c', '--quant', 'Z9_K'], 1, 'No quant called'],
    [['plan', 'llama-3.3-70b', '--on', 'm4-max-40c', '--link', 'tokenring'], 1, 'No link called'],
    [['plan', 'llama-3.3-70b', '--on', 'm4-max-40c', '--kv', 'q9'], 1, 'f16, q8_0 or q4_0'],
    [['plan', 'llama-3.3-70b', '--on', 'm4-max-40c', '--draft', '4:2:1'], 1, '4:0.7:0.1'],
    [['plan', 'llama-3.3-70b', '--on', 'm4-max-40c', '--context', '0'], 2, 'whole number'],
    [['plan', 'llama-3.3-70b', '--on', 'm4-max-40c', '--context', '-5'], 2, '--context'],
    [['plan', 'llama-3.3-70b', '--on', 'm4-max-40c', '--parallel', '1e99'], 2, 'whole number'],
    [['plan', 'llama-3.3-70b', '--on', 'm4-max-40c', '--context', '64', '--prompt', '65'], 1, 'from 1 to 64'],
    [['plan', 'mix', 'postgres=-1', '--on', 'm4-max-40c'], 1, 'SERVICE=GB'],
    [['plan', 'best', '--on', '2x m4-max-40c'], 2, 'one'],
    [['compare', 'llama-3.3-70b', '--links', 'string'], 1, 'tb5-rdma'],
    [['compare', 'llama-3.3-70b', '--price', 'm4-max-40c=-1'], 2, 'NAME=USD'],
  ])('refuses %j on stderr and tells what to do', async (args, code, said) => {
    const finished = await holon(...args)
    expect(finished.stdout).toBe('')
    expect(finished.stderr).toContain(said)
    expect(finished.stderr).toMatch(/^error: /)
    expect(finished.code).toBe(code)
  })
})

describe('holon plan best, mix and sweep', () => {
  it('name a model, add up a mix and fill a context', async () => {
    const best = await holon('plan', 'best', '--on', 'm4-max-40c:128gb')
    expect(best).toMatchObject({ code: 0, stderr: '' })
    expect(best.stdout).toMatch(/^[\w.-]+ \w+ on m4-max-40c:128gb: [\d.]+ of [\d.]+ GB with 8192 tokens/)
    const mix = await holon('plan', 'mix', '4x qwen3-4b@8192', 'postgres=8gb', '--on', 'm4-max-40c:128gb')
    expect(mix).toMatchObject({ code: 0, stderr: '' })
    expect(mix.stdout).toMatch(/^Yes: [\d.]+ of [\d.]+ GB are used/)
    expect((await holon('plan', 'mix', '99x qwen3-32b', '--on', 'm4-10c:16gb')).code).toBe(1)
    const sweep = await holon('plan', 'sweep', 'llama-3.1-8b', '--on', 'm4-max-40c:128gb', '--json')
    const { steps } = JSON.parse(sweep.stdout)
    expect(steps.at(-1).contextTokens).toBe(1_048_576)
  })
})

describe('holon plan validate', () => {
  const head = 'id,source_title,engine,model,quant,chip,decode_tok_s,context_tokens,prompt_tokens\n'

  it('scores a table and says why rows are left out', async () => {
    const file = join(home, 'rows.csv')
    writeFileSync(
      file,
      `${head}a,mine,llama.cpp,llama-2-7b,Q4_0,Apple M2 Max,60,128,512\nb,mine,llama.cpp,llama-2-7b,,Apple M2 Max,60,128,512\n`,
    )
    const { code, stdout, stderr } = await holon('plan', 'validate', file)
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^1 of 2 rows scored \(50\.0 %\), by the constants that ship\.\n/)
    expect(stdout).toContain('skipped 1: gives neither size nor quant')
  })

  it('refuses a file that is missing, empty or another table', async () => {
    const missing = await holon('plan', 'validate', join(home, 'none.csv'))
    expect(missing).toMatchObject({ code: 1, stdout: '' })
    expect(missing.stderr).toContain('cannot be read (ENOENT)')
    const other = join(home, 'other.csv')
    writeFileSync(other, 'a,b\n1,2\n')
    expect((await holon('plan', 'validate', other)).stderr).toContain(
      'no column "model", "chip", "decode_tok_s"',
    )
    expect((await holon('plan', 'validate', other, '--cross-validate', 'moon')).code).toBe(2)
  })
})

describe('holon compare', () => {
  it('gives a verdict, the matrix and its criteria', async () => {
    const { code, stdout, stderr } = await holon(
      'compare',
      'llama-3.3-70b',
      '--single',
      'm3-ultra-80c:256gb',
      '--pool',
      '2x m4-max-40c:64gb',
    )
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^(Pool|One machine|Either|Neither): .+\. Confidence: (high|medium|low)\.\n/)
    for (const row of ['memory', 'speed', 'longest context', 'cost', 'when a machine fails', 'maturity'])
      expect(stdout).toMatch(new RegExp(`^${row} `, 'm'))
    expect(stdout).toMatch(/^(yes|no |\?) the model fits one machine: /m)
  })
})
