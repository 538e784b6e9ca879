/** The programs that one member runs for vLLM over several machines, and what they are told. Pure. */
import type { VllmSettings } from './layout.ts'

export interface NodeOrder {
  vllm: string
  ray: string | null
  modelPath: string
  /** The name that callers use. */
  model: string
  settings: VllmSettings
  rank: number
  size: number
  /** The head's address on the isolated link, and the port where members meet. */
  head: { host: string; port: number }
  /** This member's own address on the link, and the interface that has it. */
  host: string
  networkInterface: string
  /** Of the HTTP server on loopback; the head alone opens one. */
  httpPort: number
  secret: string
}

export interface NodeCommand {
  command: string
  args: string[]
  env: Record<string, string | null>
}

/** In the order of starting; all run until the part ends. */
export function nodeCommands(order: NodeOrder): NodeCommand[] {
  const { settings, rank } = order
  if (settings.launcher === 'own') return [ownCommand(order)]
  return rank === 0 ? [rayCommand(order), serveByRay(order)] : [rayCommand(order)]
}

function ownCommand(order: NodeOrder): NodeCommand {
  const { vllm, rank, size, head } = order
  const group = [
    '--distributed-executor-backend',
    'mp',
    '--nnodes',
    String(size),
    '--node-rank',
    String(rank),
  ]
  group.push('--master-addr', head.host, '--master-port', String(head.port))
  const args = [...modelArgs(order), ...group, ...(rank === 0 ? frontArgs(order) : ['--headless'])]
  return { command: vllm, args, env: environment(order) }
}

function rayCommand(order: NodeOrder): NodeCommand {
  const { ray, rank, head, host } = order
  const place =
    rank === 0 ? ['--head', '--port', String(head.port)] : ['--address', `${head.host}:${head.port}`]
  const args = ['start', ...place, '--node-ip-address', host, '--disable-usage-stats', '--block']
  if (rank === 0) args.push('--include-dashboard', 'false')
  return { command: ray ?? 'ray', args, env: environment(order) }
}

function serveByRay(order: NodeOrder): NodeCommand {
  const { vllm, head } = order
  const args = [...modelArgs(order), '--distributed-executor-backend', 'ray', ...frontArgs(order)]
  return { command: vllm, args, env: { ...environment(order), RAY_ADDRESS: `${head.host}:${head.port}` } }
}

function modelArgs({ modelPath, model, settings }: NodeOrder): string[] {
  return [
    'serve',
    modelPath,
    '--served-model-name',
    model,
    '--tensor-parallel-size',
    String(settings.tensor),
    '--pipeline-parallel-size',
    String(settings.pipeline),
    '--max-model-len',
    String(settings.contextTokens),
    '--max-num-seqs',
    String(settings.parallel),
  ]
}

/** The key travels in the environment: a command line can be read by everybody on the machine. */
function frontArgs({ httpPort }: NodeOrder): string[] {
  return ['--host', '127.0.0.1', '--port', String(httpPort)]
}

/**
 * Without the interface by name NCCL and gloo choose one themselves, often the slow one. Nothing is fetched, and nothing
 * is told to anybody.
 */
function environment({ host, networkInterface, secret, rank }: NodeOrder): Record<string, string | null> {
  return {
    VLLM_HOST_IP: host,
    NCCL_SOCKET_IFNAME: networkInterface,
    GLOO_SOCKET_IFNAME: networkInterface,
    VLLM_API_KEY: rank === 0 ? secret : null,
    VLLM_NO_USAGE_STATS: '1',
    DO_NOT_TRACK: '1',
    HF_HUB_OFFLINE: '1',
    RAY_ADDRESS: null,
  }
}
