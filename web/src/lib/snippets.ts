/** How other tools reach this hub, ready to paste. Names come from files and may hold any character: all are quoted. */
export type SnippetName = 'curl' | 'Python' | 'JavaScript'

export const snippetNames: SnippetName[] = ['curl', 'Python', 'JavaScript']

const shellQuote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

export function snippet(name: SnippetName, origin: string, model: string): string {
  const baseUrl = JSON.stringify(`${origin}/v1`)
  const quoted = JSON.stringify(model)
  if (name === 'curl') {
    const body = `{"model": ${quoted}, "messages": [{"role": "user", "content": "Hello"}]}`
    return `curl ${origin}/v1/chat/completions \\\n  -H 'content-type: application/json' \\\n  -d ${shellQuote(body)}`
  }
  if (name === 'Python') {
    return `from openai import OpenAI

client = OpenAI(base_url=${baseUrl}, api_key="local")
answer = client.chat.completions.create(
    model=${quoted},
    messages=[{"role": "user", "content": "Hello"}],
)
print(answer.choices[0].message.content)`
  }
  return `import OpenAI from 'openai'

const client = new OpenAI({ baseURL: ${baseUrl}, apiKey: 'local' })
const answer = await client.chat.completions.create({
  model: ${quoted},
  messages: [{ role: 'user', content: 'Hello' }],
})
console.log(answer.choices[0].message.content)`
}
