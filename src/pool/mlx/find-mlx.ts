/**
 * The Python that has mlx-lm: the one that its `mlx_lm.server` script names in its first line, wherever pip, uv, pipx or
 * Homebrew put that script. It is asked, not guessed, what it can do with a model.
 */
import { readdirSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { Home } from '../../core/home.ts'
import { runCommand } from '../../profile/run-command.ts'
import type { ModelCut } from '../../protocol/pool.ts'

export interface MlxFound {
  python: string
  /** Such as `mlx 0.32.4, mlx-lm 0.32.2`. */
  build: string
  mlxLm: string
  /** `gpu`, or `cpu` where mlx has no other. */
  device: string
}

/** Folders where the script may be, best first. */
export function mlxPlaces(home: Home, env: NodeJS.ProcessEnv = process.env): string[] {
  const cache = join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holon')
  return [
    ...venvsIn(home.engines),
    ...(env.PATH ?? '').split(delimiter).filter((folder) => folder !== ''),
    '/opt/homebrew/bin',
    '/usr/local/bin',
    join(homedir(), '.local', 'bin'),
    ...venvsIn(cache),
  ]
}

/** `mlx-venv/bin` and the like. */
function venvsIn(folder: string): string[] {
  try {
    const names = readdirSync(folder).filter((name) => name.startsWith('mlx'))
    return names.sort().map((name) => join(folder, name, 'bin'))
  } catch {
    return []
  }
}

const versions = `
import importlib.metadata as m, json
import mlx.core as mx
print(json.dumps({"mlx": m.version("mlx"), "mlxLm": m.version("mlx-lm"), "device": str(mx.default_device().type).split(".")[-1]}))
`

/** One look per process and script, as long as that is the same: importing mlx takes a second, and a preview asks often. */
const looked = new Map<string, Promise<MlxFound | null>>()

/** Null when there is none that runs. */
export async function findMlx(places: readonly string[]): Promise<MlxFound | null> {
  for (const place of new Set(places)) {
    const script = await readScript(join(place, 'mlx_lm.server'))
    if (script === null) continue
    const look = looked.get(script.stamp) ?? lookAt(script.python)
    looked.set(script.stamp, look)
    const found = await look
    if (found !== null) return found
    looked.delete(script.stamp)
  }
  return null
}

async function lookAt(python: string): Promise<MlxFound | null> {
  const said = lastJson(await runCommand(python, ['-c', versions], { timeoutMs: 30_000 }))
  const { mlx, mlxLm, device } = said ?? {}
  if (typeof mlx !== 'string' || typeof mlxLm !== 'string') return null
  return { python, build: `mlx ${mlx}, mlx-lm ${mlxLm}`, mlxLm, device: String(device) }
}

/**
 * Its Python, from `#!/path/python` or the second line of the form that pip writes where the path is too long for the
 * first; `stamp` is another after an installation of another version.
 */
async function readScript(path: string): Promise<{ python: string; stamp: string } | null> {
  const handle = await open(path, 'r').catch(() => null)
  if (handle === null) return null
  try {
    const { mtimeMs, size } = await handle.stat()
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(1024), 0, 1024, 0)
    const [first = '', second = ''] = buffer.toString('utf8', 0, bytesRead).split('\n')
    const direct = /^#!\s*(\S*python[\d.]*)\s*$/.exec(first)?.[1]
    const wrapped = /^'''exec' "?([^"\s]+python[\d.]*)"? /.exec(second)?.[1]
    const python = direct ?? wrapped
    return python === undefined ? null : { python, stamp: `${path}|${mtimeMs}|${size}|${python}` }
  } catch {
    return null
  } finally {
    await handle.close()
  }
}

/** What mlx-lm's own code for this architecture has. Asks the classes: wrappers hand the work on to other files. */
const abilities = `
import ast, importlib, json, pathlib, sys
import mlx_lm
names = {}
for node in ast.walk(ast.parse((pathlib.Path(mlx_lm.__file__).parent / "utils.py").read_text())):
    if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "MODEL_REMAPPING":
        names = ast.literal_eval(node.value)
try:
    module = importlib.import_module("mlx_lm.models." + names.get(sys.argv[1], sys.argv[1]))
except ImportError:
    print(json.dumps({"known": False}))
else:
    classes = [each for each in vars(module).values() if isinstance(each, type) and each.__name__ != "PipelineMixin"]
    print(json.dumps({
        "known": True,
        "tensor": hasattr(module.Model, "shard"),
        "pipeline": any(hasattr(each, "pipeline") for each in classes),
    }))
`

const asked = new Map<string, Promise<Record<string, unknown> | null>>()

/** How this mlx-lm can split an architecture; null when it does not know it at all, or did not say. */
export async function strategiesOf(
  { python, build }: Pick<MlxFound, 'python' | 'build'>,
  modelType: string,
): Promise<ModelCut['strategies'] | null> {
  // It becomes the name of a Python module.
  if (!/^[A-Za-z0-9_]+$/.test(modelType)) return null
  const key = `${python} ${build} ${modelType}`
  const question = asked.get(key) ?? ask(python, modelType)
  asked.set(key, question)
  const said = await question
  if (said === null) asked.delete(key)
  if (said?.known !== true) return null
  return (['pipeline', 'tensor'] as const).filter((strategy) => said[strategy] === true)
}

async function ask(python: string, modelType: string): Promise<Record<string, unknown> | null> {
  return lastJson(await runCommand(python, ['-c', abilities, modelType], { timeoutMs: 60_000 }))
}

/** Libraries print warnings around what was asked for. */
function lastJson(output: string | null): Record<string, unknown> | null {
  const line = output
    ?.split('\n')
    .reverse()
    .find((each) => each.startsWith('{'))
  try {
    return line === undefined ? null : JSON.parse(line)
  } catch {
    return null
  }
}

/** mlx_lm.server serves over several machines since 0.31. */
export function tooOldToPool(mlxLm: string): boolean {
  const [major = 0, minor = 0] = mlxLm.split('.').map(Number)
  return major === 0 && minor < 31
}
