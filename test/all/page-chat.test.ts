/** The page's chat, in a real Chromium against a stub hub over real HTTP. */
import { describe, expect, it } from 'vitest'
import { essay } from '../web/essay.ts'
import { failure, gate, words } from '../web/stub-hub.ts'
import { usePage } from '../web/use-page.ts'

const handle = usePage()
const t = () => handle.current

describe('the chat', () => {
  it('shows an answer while it is still being written, then its speed', async () => {
    const rest = gate()
    t().hub.script = async function* () {
      yield* words('The first half is here', 25)()
      await rest.passed
      yield* words(' and now the second.', 25)()
    }
    await t().open()
    await t().shot('empty-light')
    await t().ask('Tell me something.')
    await t().page.getByText('The first half is here').waitFor()
    expect(await t().answer().getAttribute('data-state')).toBe('streaming')
    expect(await t().answer().textContent()).not.toContain('second')
    await t().page.getByRole('button', { name: 'Stop' }).waitFor()
    rest.open()
    await t().reached('done')
    expect(await t().answer().textContent()).toContain('The first half is here and now the second.')
    expect(await t().answer().locator('footer').textContent()).toMatch(
      /^qwen3-8b · first token \S+\sm?s · [\d.]+\stok\/s · 9 tokens/,
    )
    expect(t().hub.requests[0]!.body).toEqual({
      model: 'qwen3-8b',
      messages: [{ role: 'user', content: 'Tell me something.' }],
      stream: true,
      stream_options: { include_usage: true },
    })
  })

  it('stops the request at the hub on Escape and keeps what came', async () => {
    t().hub.script = async function* () {
      yield { text: 'Partial' }
      await gate().passed
    }
    await t().open()
    await t().ask('Go on for ever.')
    await t().page.getByText('Partial').waitFor()
    await t().page.keyboard.press('Escape')
    await t().hub.requests[0]!.aborted
    await t().reached('stopped')
    expect(await t().answer().textContent()).toContain('Partial')
    t().hub.script = words('Better.')
    await t().page.getByRole('button', { name: 'Regenerate' }).click()
    await t().reached('done')
    expect(await t().page.locator('article[data-state]').count()).toBe(1)
    expect(t().hub.requests[1]!.body.messages).toEqual([{ role: 'user', content: 'Go on for ever.' }])
  })

  it('shows loading from comments and from 503 as progress, then answers', async () => {
    const ready = gate()
    let tries = 0
    t().hub.script = async function* () {
      tries += 1
      if (tries === 1) {
        const loading = { phase: 'installing the engine', percent: 12, etaS: 40 }
        yield { refuse: 503, retryAfterS: 1, body: { ...failure('It loads.', 'model_loading'), loading } }
      }
      yield { comment: 'loading reading weights 40 %' }
      await ready.passed
      yield* words('Awake now.')()
    }
    await t().open()
    await t().ask('Wake up.')
    await t().page.getByText('installing the engine').waitFor()
    await t().page.getByText('reading weights').waitFor()
    expect(await t().answer().getByRole('progressbar').getAttribute('value')).toBe('40')
    await t().shot('loading')
    ready.open()
    await t().reached('done')
    expect(tries).toBe(2)
    expect(await t().answer().locator('footer').textContent()).toContain('loading included')
  })

  it('keeps the part of an answer that broke, says why, and tries again', async () => {
    // The browser throws away what it received but has not handed over when a connection breaks: show it first.
    const shown = gate()
    t().hub.script = async function* () {
      yield* words(essay.slice(0, 400))()
      await shown.passed
      yield 'break'
    }
    await t().open()
    await t().ask('Why is decoding bound by memory?')
    await t().page.getByText('Memory bandwidth sets the pace').waitFor()
    shown.open()
    await t().reached('failed')
    expect(await t().answer().textContent()).toContain('Memory bandwidth sets the pace')
    expect(await t().answer().getByRole('alert').textContent()).toContain('The connection broke')
    await t().shot('error-broken')
    t().hub.script = async function* () {
      yield { text: 'Part' }
      yield { error: 'The engine died: signal SIGKILL.', code: 'engine_crashed' }
    }
    await t().page.getByRole('button', { name: 'Try again' }).click()
    await t().page.getByText('The engine died: signal SIGKILL.').waitFor()
    t().hub.script = async function* () {
      yield {
        refuse: 400,
        body: failure('The messages take 9000 tokens; the context is 8192.', 'context_length_exceeded'),
      }
    }
    await t().page.getByRole('button', { name: 'Try again' }).click()
    await t().page.getByText('the context is 8192').waitFor()
    await t().answer().getByRole('button', { name: 'New chat' }).click()
    await t().page.getByText('Ask your own machine.').waitFor()
  })

  it('makes nothing of HTML, script and addresses in an answer', async () => {
    t().hub.script =
      words(`<script>window.hacked = 1</script> <img src=x onerror="window.hacked = 2"> <b>bold</b>
[click](javascript:window.hacked=3) ![pic](https://elsewhere.example/x.png) [fine](https://example.org/)
<svg onload="window.hacked=4"> <iframe src="javascript:window.hacked=5"></iframe>

| <img src=y onerror="window.hacked=6"> | b |
|---|---|
| <style>body{display:none}</style> | [d](data:text/html,x) |

\`\`\`html"><script>window.hacked=7</script>
</code></pre><script>window.hacked = 8</script>
\`\`\``)
    await t().open()
    await t().ask('<img src=z onerror="window.hacked=9">')
    await t().reached('done')
    const body = t().page.locator('ol article')
    expect(await body.locator('script, img, iframe, style, svg, b').count()).toBe(0)
    const links = body.locator('a')
    expect(await links.evaluateAll((all) => all.map((a) => a.getAttribute('href')))).toEqual([
      'https://elsewhere.example/x.png',
      'https://example.org/',
    ])
    expect(await t().page.evaluate('window.hacked')).toBeUndefined()
    expect(await t().answer().textContent()).toContain('<script>window.hacked = 8</script>')
  })

  it('keeps the chat over a reload, opens old ones, and clears them', async () => {
    await t().open()
    await t().ask('Remember me')
    await t().reached('done')
    await t().page.reload()
    await t().page.getByText('Hello from the stub.').waitFor()
    await t().page.getByRole('button', { name: 'New chat' }).click()
    await t().ask('Another one')
    await t().reached('done')
    await t().page.getByRole('button', { name: 'Chats' }).click()
    await t().shot('chats')
    await t()
      .page.getByRole('button', { name: /^Remember me/ })
      .click()
    await t().page.locator('.question', { hasText: 'Remember me' }).waitFor()
    await t().page.getByRole('button', { name: 'Chats' }).click()
    await t().page.getByRole('button', { name: 'Clear all' }).click()
    await t().page.getByRole('button', { name: 'Really clear all?' }).click()
    await t().page.getByText('Ask your own machine.').waitFor()
    expect(
      await t().page.evaluate("Object.keys(localStorage).filter((k) => k.startsWith('holon.chat.'))"),
    ).toEqual([])
  })

  it('sends the settings only when they are set, and refuses wrong ones', async () => {
    await t().open()
    await t().page.getByRole('button', { name: 'Settings' }).click()
    await t().page.getByLabel('System prompt').fill('Answer in one word.')
    await t().page.getByLabel('Temperature').fill('9')
    await t().page.getByText('A number from 0 to 2.').waitFor()
    await t().page.getByLabel('Temperature').fill('0.2')
    await t().page.getByLabel('Most tokens per answer').fill('64')
    await t().shot('settings')
    await t().page.getByLabel('Model', { exact: true }).selectOption('gemma-3-27b-it')
    await t().ask('Hi')
    await t().reached('done')
    expect(t().hub.requests[0]!.body).toMatchObject({
      model: 'gemma-3-27b-it',
      temperature: 0.2,
      max_tokens: 64,
      messages: [
        { role: 'system', content: 'Answer in one word.' },
        { role: 'user', content: 'Hi' },
      ],
    })
  })

  it('works by keyboard alone', async () => {
    await t().open()
    await t().page.keyboard.type('one')
    await t().page.keyboard.press('Shift+Enter')
    await t().page.keyboard.type('two')
    await t().page.keyboard.press('Enter')
    await t().reached('done')
    expect(t().hub.requests[0]!.body.messages[0]!.content).toBe('one\ntwo')
    await t().page.keyboard.press('Shift+Tab')
    for (let presses = 0; presses < 40; presses++) {
      const name = await t().page.evaluate('document.activeElement.textContent.trim()')
      if (name === 'New chat') break
      await t().page.keyboard.press('Shift+Tab')
    }
    await t().page.keyboard.press('Enter')
    await t().page.getByText('Ask your own machine.').waitFor()
    expect(await t().page.evaluate('document.activeElement.id')).toBe('message')
  })

  it('shows what a reasoning model thought apart from what it says', async () => {
    t().hub.script = async function* () {
      yield { thinking: 'Let me see.' }
      yield { text: 'Forty-two.' }
      yield { finish: 'length' }
    }
    await t().open()
    await t().ask('The answer?')
    await t().reached('done')
    await t().page.getByText('Thought first').click()
    await t().page.getByText('Let me see.').waitFor()
    await t().page.getByText('Cut at the token limit.').waitFor()
  })
})
