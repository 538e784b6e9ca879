/** How other tools reach this hub, ready to paste. Names come from files and may hold any character: all are quoted. */
export type SnippetName = 'curl' | 'Python' | 'JavaScript'

export const snippetNames: SnippetName[] = ['curl', 'Python', 'JavaScript']

const shellQuote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

/** @param withKey the hub answers nobody without a key, which the reader puts in place of `YOUR_KEY` */
export function snippet(name: SnippetName, origin: string, model: string, withKey = false): string {
  const baseUrl = JSON.stringify(`${origin}/v1`)
  const quoted = JSON.stringify(model)
  // The clients insist on some key, also where the hub asks for none.
  const key = withKey ? 'YOUR_KEY' : 'local'
  if (name === 'curl') {
    const body = `{"model": ${quoted}, "messages": [{"role": "user", "content": "Hello"}]}`
    const header = withKey ? "  -H 'authorization: Bearer YOUR_KEY' \\\n" : ''
    return `curl ${origin}/v1/chat/completions \\\n${header}  -H 'content-type: application/json' \\\n  -d ${shellQuote(body)}`
  }
  if (name === 'Python') {
    return `from openai import OpenAI

client = OpenAI(base_url=${baseUrl}, api_key=${JSON.stringify(key)})
answer = client.chat.completions.create(
    model=${quoted},
    messages=[{"role": "user", "content": "Hello"}],
)
print(answer.choices[0].message.content)`
  }
  return `import OpenAI from 'openai'

const client = new OpenAI({ baseURL: ${baseUrl}, apiKey: '${key}' })
const answer = await client.chat.completions.create({
  model: ${quoted},
  messages: [{ role: 'user', content: 'Hello' }],
})
console.log(answer.choices[0].message.content)`
}
