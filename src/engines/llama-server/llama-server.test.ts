import { describe, expect, test } from 'vitest'
import { parseBuildPercent } from './build.ts'
import { parseFlags, parseVersion } from './inspect.ts'
import { commandLine } from './launch.ts'
import { loadFailure } from './serve.ts'
import { missingTools, requireTools } from './tools.ts'

const help = `----- common params -----

-h,    --help, --usage                  print usage and exit
-c,    --ctx-size N                     size of the prompt context
-fa,   --flash-attn [on|off|auto]       set Flash Attention use
-kvu,  --kv-unified, -no-kvu, --no-kv-unified
                                        use single unified KV buffer
--jinja, --no-jinja                     whether to use jinja template engine
-a,    --alias STRING                   set model name aliases
--ui,  --webui, --no-ui, --no-webui     whether to enable the Web UI
--rpc SERVERS                           comma-separated list of RPC servers
`

describe('what llama-server says of itself', () => {
  test('its version, in the form of today and of older builds', () => {
    expect(parseVersion('version: 0.5.0-dev (build 1, commit de3ff81)\nbuilt with GNU')).toBe(
      '0.5.0-dev (build 1)',
    )
    expect(parseVersion('version: 6123 (abc1234)\n')).toBe('6123 (abc1234)')
    expect(parseVersion('Segmentation fault')).toBeNull()
  })

  test('the options it knows', () => {
    const flags = parseFlags(help)
    for (const flag of ['--flash-attn', '--no-kv-unified', '--jinja', '--alias', '--no-ui', '--rpc']) {
      expect(flags.has(flag)).toBe(true)
    }
    expect(flags.has('--metrics')).toBe(false)
  })

  test('the percent of a build, by ninja and by make', () => {
    expect(parseBuildPercent('[52/208] Building CXX object x.o')).toBe(25)
    expect(parseBuildPercent('[ 12%] Building CXX object x.o')).toBe(12)
    expect(parseBuildPercent('-- Configuring done')).toBeNull()
  })
})

describe('the command line', () => {
  const spec = {
    modelId: 'm',
    modelPath: '/m.gguf',
    contextTokens: 1000,
    parallel: 4,
    threads: 2,
    embedding: false,
    pooling: null,
    onProgress: () => undefined,
    onLog: () => undefined,
    signal: new AbortController().signal,
  }

  test('allots the context once per sequence and holds no secret', () => {
    const args = commandLine(new Set(['--threads', '--jinja', '--no-ui', '--no-kv-unified']), spec)
    expect(args.join(' ')).toContain('-c 4000 -np 4')
    expect(args.join(' ')).toContain('--host 127.0.0.1 --port 0')
    expect(args).toContain('--no-kv-unified')
    expect(args.join(' ')).toContain('--threads 2')
  })

  test('leaves out what an older build does not know', () => {
    const args = commandLine(new Set(['--no-webui']), spec)
    expect(args).toContain('--no-webui')
    expect(args).not.toContain('--no-ui')
    expect(args).not.toContain('--jinja')
  })
})

describe('why a load failed', () => {
  test.each<[string[], string, string]>([
    [
      ["0.0 E llama_model_load: error loading model: unknown model architecture: 'zz'"],
      'model_file_invalid',
      '"zz"',
    ],
    [
      ['0.0 E llama_model_load: error loading model: tensor blk.0 is missing'],
      'model_load_failed',
      'tensor blk.0 is missing',
    ],
    [
      ['ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer'],
      'model_too_big',
      'out of memory',
    ],
    [[], 'model_load_failed', 'It ended.'],
  ])('%j is %s', (errors, code, words) => {
    expect(loadFailure(errors, 'It ended.')).toMatchObject({ code, message: expect.stringContaining(words) })
  })
})

describe('build tools', () => {
  const all = { cmake: '/c', git: '/g', compiler: '/x', ninja: '/n', make: null, brew: null }

  test('that are missing are all named, with the line that installs them', () => {
    expect(missingTools(all)).toEqual([])
    const none = { cmake: null, git: null, compiler: null, ninja: null, make: null, brew: null }
    expect(() => requireTools(none, 'linux')).toThrow('cmake, git, g++ and make are not installed')
    const failing = (): void => requireTools({ ...all, cmake: null }, 'linux')
    expect(failing).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('sudo apt-get install cmake') }),
    )
    const mac = (): void => requireTools({ ...all, cmake: null }, 'darwin')
    expect(mac).toThrow(expect.objectContaining({ hint: expect.stringContaining('brew install cmake') }))
  })
})
