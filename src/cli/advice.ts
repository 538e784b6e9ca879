import type { NodeState } from '../protocol/node.ts'

/** What to do next while only the demonstration model is there; null when there is a real one. */
export function adviceFor(node: NodeState): string | null {
  if (node.models.some((model) => !model.demo && model.problem === null)) return null
  return 'holon-demo is a demonstration: a few MB that know a little about Holon and nothing else. For a real model run `holon pull Qwen/Qwen3-4B-GGUF`.'
}
