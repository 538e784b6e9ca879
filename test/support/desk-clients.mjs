/**
 * The three client libraries as people use them, for scripts on a desk of `FleetLan`. Every answer is taken as a stream
 * and told in the same words: its text, its tool calls, how it ended, or the error that its library raised.
 */
import Anthropic from '@anthropic-ai/sdk'
import { Ollama } from 'ollama'
import OpenAI from 'openai'

const parameters = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
}
const weather = { name: 'weather', description: 'Tells the weather.' }

/**
 * Asks every model with every library at once.
 * @param jobs `{ models, prompt, maxTokens, tools }` each
 * @param begun called when every answer has begun
 */
export async function askAll({ url, key, jobs }, begun = () => undefined) {
  const ways = waysOf(url, key)
  const asked = jobs.flatMap((job) =>
    job.models.flatMap((model) => Object.entries(ways).map(([client, way]) => ({ client, way, job, model }))),
  )
  let waiting = asked.length
  return Promise.all(
    asked.map(async ({ client, way, job, model }) => {
      const answer = { client, model, text: '', calls: [], ended: null, error: null }
      let first = () => {
        first = () => undefined
        waiting--
        if (waiting === 0) begun()
      }
      try {
        answer.ended = await way(
          { ...job, model },
          {
            text: (part) => {
              answer.text += part
              first()
            },
            call: (name, input) => answer.calls.push({ name, input }),
          },
        )
      } catch (error) {
        answer.error = { kind: error.constructor.name, message: error.message }
      }
      first()
      return answer
    }),
  )
}

function waysOf(url, key) {
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 })
  const anthropic = new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0 })
  const ollama = new Ollama({ host: url, headers: { authorization: `Bearer ${key}` } })
  return {
    openai: async ({ model, prompt, maxTokens, tools }, tell) => {
      const stream = openai.chat.completions.stream({
        model,
        messages: [{ role: 'user', content: prompt }],
        temperature: 0,
        max_tokens: maxTokens,
        ...(tools ? { tools: [{ type: 'function', function: { ...weather, parameters } }] } : {}),
      })
      stream.on('content', tell.text)
      const { choices } = await stream.finalChatCompletion()
      for (const call of choices[0].message.tool_calls ?? []) {
        tell.call(call.function.name, JSON.parse(call.function.arguments))
      }
      return choices[0].finish_reason
    },
    anthropic: async ({ model, prompt, maxTokens, tools }, tell) => {
      const stream = anthropic.messages.stream({
        model,
        messages: [{ role: 'user', content: prompt }],
        temperature: 0,
        max_tokens: maxTokens,
        ...(tools ? { tools: [{ ...weather, input_schema: parameters }] } : {}),
      })
      stream.on('text', tell.text)
      const message = await stream.finalMessage()
      for (const block of message.content) if (block.type === 'tool_use') tell.call(block.name, block.input)
      return message.stop_reason
    },
    ollama: async ({ model, prompt, maxTokens, tools }, tell) => {
      const lines = await ollama.chat({
        model,
        messages: [{ role: 'user', content: prompt }],
        options: { temperature: 0, num_predict: maxTokens },
        stream: true,
        ...(tools ? { tools: [{ type: 'function', function: { ...weather, parameters } }] } : {}),
      })
      let ended = null
      for await (const { message, done, done_reason } of lines) {
        if (message.content) tell.text(message.content)
        for (const call of message.tool_calls ?? []) tell.call(call.function.name, call.function.arguments)
        if (done) ended = done_reason
      }
      return ended
    },
  }
}
