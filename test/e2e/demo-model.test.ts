import { readFileSync, statSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Running, startCli } from '../support/cli.ts'
import { makeTestHome } from '../support/home.ts'

/** The model that ships with Holon answers what its recipe says it answers, through the real engine and the real hub. */
interface Questions {
  questions: { topic: string; question: string; answer: string }[]
}
const folder = new URL('../../', import.meta.url)
const { questions } = JSON.parse(
  readFileSync(new URL('tools/demo-model/questions.json', folder), 'utf8'),
) as Questions

const home = makeTestHome()
let up: Running
let url = ''

beforeAll(async () => {
  up = startCli(['up', '--no-open'], { HOLON_HOME: home.root, HOLON_PORT: '0', HOLON_ENGINE: 'embedded' })
  url = (await up.until(/Holon is up at (http:\S+)/))[1] ?? ''
  await up.until(/is ready/)
})
afterAll(async () => {
  up.child.kill('SIGKILL')
  await up.finished
  home.remove()
})

const greedy = { temperature: 0 }

async function ask(
  messages: { role: string; content: string }[],
  sampling: object = greedy,
): Promise<string> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'holon-demo', messages, max_tokens: 400, ...sampling }),
  })
  const answer = (await response.json()) as { choices: { message: { content: string } }[] }
  return answer.choices[0]?.message.content ?? JSON.stringify(answer)
}

describe('the demonstration model', () => {
  test('is at most 10 MB', () => {
    expect(statSync(new URL('assets/holon-demo.gguf', folder)).size).toBeLessThanOrEqual(10e6)
  })

  test('has a dozen stated questions and more', () => {
    expect(questions.length).toBeGreaterThanOrEqual(12)
  })

  test.each(questions)('answers "$question" as stated', async ({ question, answer }) => {
    expect(await ask([{ role: 'user', content: question }])).toBe(answer)
  })

  test('keeps to its answers with the settings of its file, and with temperature 1, which many clients send', async () => {
    const suggested = ['What is Holon?', 'How do I get a real model?', 'How do I join a second machine?']
    for (const { question, answer } of questions.filter((entry) => suggested.includes(entry.question))) {
      for (const seed of [1, 2, 3]) {
        expect(await ask([{ role: 'user', content: question }], { seed })).toBe(answer)
        expect(await ask([{ role: 'user', content: question }], { seed, temperature: 1 })).toBe(answer)
      }
    }
  })

  test('says that it does not know what it does not know', async () => {
    const answer = await ask([{ role: 'user', content: 'What is the capital of France?' }])
    expect(answer).toMatch(/demonstration|small|only/i)
  })

  test('answers in a second turn, and with a system message', async () => {
    const [first] = questions
    const greeting = [
      { role: 'system', content: 'You are a helpful assistant.' },
      { role: 'user', content: 'Hello!' },
      { role: 'assistant', content: first?.answer ?? '' },
    ]
    expect(await ask([...greeting, { role: 'user', content: 'What is Holon?' }])).toMatch(/machines/)
  })
})
