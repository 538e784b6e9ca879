import { type Body, badParameter, isObject } from '../fields.ts'

/** One function the model may call. */
export interface Tool {
  name: string
  parameters: Body
  /** As the client sent it, for the template. */
  original: Body
}

export interface ToolRequest {
  tools: Tool[]
  choice: 'none' | 'auto' | 'required'
}

const maxTools = 256

/** `tools` and `tool_choice`; a named choice leaves just that tool. */
export function readTools(body: Body): ToolRequest {
  const { tools: list, tool_choice: choice } = body
  if (list === undefined || list === null) {
    if (choice !== undefined && choice !== null && choice !== 'none' && choice !== 'auto') {
      throw badParameter('tool_choice', 'tool_choice asks for a call, but tools is missing.')
    }
    return { tools: [], choice: 'none' }
  }
  if (!Array.isArray(list) || list.length > maxTools) {
    throw badParameter('tools', `tools must be an array of at most ${maxTools} tools.`)
  }
  const tools = list.map((tool, index) => readTool(tool, `tools[${index}]`))
  if (tools.length === 0 || choice === 'none') return { tools: [], choice: 'none' }
  if (choice === undefined || choice === null || choice === 'auto') return { tools, choice: 'auto' }
  if (choice === 'required') return { tools, choice: 'required' }
  const fn =
    isObject(choice) && choice.type === 'function' && isObject(choice.function) ? choice.function : null
  const named = tools.filter((tool) => tool.name === fn?.name)
  if (!fn || named.length === 0) {
    throw badParameter(
      'tool_choice',
      'tool_choice must be "none", "auto", "required" or name one of the tools as {"type":"function","function":{"name":...}}.',
    )
  }
  return { tools: named, choice: 'required' }
}

function readTool(tool: unknown, at: string): Tool {
  const fn = isObject(tool) && tool.type === 'function' ? tool.function : undefined
  if (!isObject(tool) || !isObject(fn)) {
    throw badParameter('tools', `${at} must be {"type":"function","function":{...}}.`)
  }
  const { name, parameters } = fn
  if (typeof name !== 'string' || !/^[a-zA-Z0-9_.-]{1,128}$/.test(name)) {
    throw badParameter(
      'tools',
      `${at}.function.name must be 1 to 128 letters, digits, dots, dashes or underscores.`,
    )
  }
  if (parameters !== undefined && parameters !== null && !isObject(parameters)) {
    throw badParameter('tools', `${at}.function.parameters must be a JSON schema.`)
  }
  return {
    name,
    parameters: isObject(parameters) ? parameters : { type: 'object', properties: {} },
    original: tool,
  }
}
