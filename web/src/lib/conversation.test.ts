import { expect, it } from 'vitest'
import { type Answer, readConversation, splitThinking, titleOf, toRequestMessages } from './conversation.ts'

const user = (text: string) => ({ id: text, role: 'user' as const, text })
const answer = (text: string, changes: Partial<Answer> = {}): Answer => ({
  id: text,
  role: 'assistant',
  model: 'm',
  text,
  thinking: '',
  state: 'done',
  loading: null,
  note: null,
  error: null,
  cut: false,
  speed: null,
  ...changes,
})

it('leaves out a question that got no answer, and keeps user and assistant taking turns', () => {
  const chat = [answer('orphan'), user('too long'), answer(''), user('b'), answer('c'), user('d'), user('e')]
  expect(toRequestMessages(chat, ' Be brief. ')).toEqual([
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'b' },
    { role: 'assistant', content: 'c' },
    { role: 'user', content: 'd\n\ne' },
  ])
  expect(toRequestMessages([user('asked again')], '')).toEqual([{ role: 'user', content: 'asked again' }])
})

it('reads back a chat whose answer was still streaming as stopped', () => {
  const chat = { id: 'x', updatedAt: 1, messages: [user('a'), answer('half', { state: 'streaming' })] }
  expect(readConversation(JSON.parse(JSON.stringify(chat)))?.messages[1]).toMatchObject({
    text: 'half',
    state: 'stopped',
  })
})

it('names a chat by its first question, in one short line', () => {
  expect(titleOf({ id: 'x', updatedAt: 1, messages: [user(` why\n${'so '.repeat(60)}`)] })).toMatch(
    /^why so .*…$/,
  )
  expect(titleOf({ id: 'x', updatedAt: 1, messages: [] })).toBe('Empty chat')
})

it('tells thinking from answering, whichever way the engine sends it', () => {
  expect(splitThinking(answer('<think>\nhm'))).toMatchObject({ thinking: 'hm', text: '' })
  expect(splitThinking(answer('<think>hm</think>\n\nYes.'))).toMatchObject({ thinking: 'hm', text: 'Yes.' })
  expect(splitThinking(answer('Yes.', { thinking: 'hm' }))).toMatchObject({ thinking: 'hm', text: 'Yes.' })
  expect(splitThinking(answer('', { thinking: 'hm', state: 'streaming' })).stillThinking).toBe(true)
  expect(splitThinking(answer('In HTML <think> is no tag.')).text).toBe('In HTML <think> is no tag.')
})
