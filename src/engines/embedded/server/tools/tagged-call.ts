/**
 * Qwen3-Coder's style: `<function=name><parameter=key>value</parameter>...</function>`. Values are bare text; the
 * tool's own schema says which of them are strings.
 */
export function parseTaggedCall(
  body: string,
  typeOf: (name: string, key: string) => string | undefined,
): { name: string; arguments: string } | null {
  const name = /<function=([^>\n]+)>/.exec(body)?.[1]?.trim()
  if (!name) return null
  const values: Record<string, unknown> = {}
  for (const [, key = '', text = ''] of body.matchAll(
    /<parameter=([^>\n]+)>\n?([\s\S]*?)\n?<\/parameter>/g,
  )) {
    values[key.trim()] = typeOf(name, key.trim()) === 'string' ? text : parsed(text)
  }
  return { name, arguments: JSON.stringify(values) }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
