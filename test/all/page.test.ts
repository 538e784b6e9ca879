/** The page in a real Chromium, against a stub hub over real HTTP. `HOLON_SHOTS=folder` keeps screenshots. */
import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { launchChromium } from '../web/chromium.ts'
import { demoNode, sampleNode } from '../web/sample-node.ts'
import { failure, gate, StubHub, words } from '../web/stub-hub.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const dist = join(root, 'web/dist')
const shots = process.env.HOLON_SHOTS

const essay = `Memory bandwidth sets the pace of **decoding**: every token reads all active weights once.

## A rule of thumb

| Chip | Bandwidth | 8 B at Q4 |
|:--|--:|--:|
| M4 Pro | 273 GB/s | about 45 tok/s |
| M4 Max | 546 GB/s | about 85 tok/s |

1. Divide the bandwidth by the size of the weights.
2. Take *two thirds* of that:
   - caches and scheduling cost the rest
   - \`llama-bench\` shows your own figure

\`\`\`python
def decode_tok_s(bandwidth_gb_s: float, weights_gb: float) -> float:
    return 0.66 * bandwidth_gb_s / weights_gb
\`\`\`

> Prefill is another matter: it is bound by compute.`

let browser: Browser
let hub: StubHub
let page: Page
let trouble: string[]

beforeAll(async () => {
  await promisify(execFile)('npm', ['run', 'build', '--workspace', 'web'], { cwd: root })
  browser = await launchChromium()
})
afterAll(() => browser?.close())

beforeEach(async () => {
  hub = new StubHub(dist, sampleNode())
  await hub.start()
})
afterEach(async () => {
  await page?.context().close()
  await hub.stop()
  expect(trouble).toEqual([])
})

/** Opens the page; what goes wrong in it, or leaves the hub, fails the test at its end. */
async function open(options: BrowserContextOptions = {}): Promise<void> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options })
  page = await context.newPage()
  trouble = []
  page.on('pageerror', (error) => trouble.push(`page error: ${error.message}`))
  page.on('console', (message) => {
    // A refused or broken request is what many of these tests are about; the browser logs it as an error.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
      trouble.push(`console: ${message.text()}`)
    }
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(hub.url)) trouble.push(`asked elsewhere: ${request.url()}`)
  })
  await page.goto(hub.url)
  await page.locator('#model option').first().waitFor({ state: 'attached' })
}

async function shot(name: string): Promise<void> {
  if (!shots) return
  mkdirSync(shots, { recursive: true })
  await page.screenshot({ path: join(shots, `${name}.png`) })
}

const answer = () => page.locator('article[data-state]').last()
const stateOf = (state: string) => page.locator(`article[data-state="${state}"]`).last().waitFor()
const row = (id: string) => page.locator(`li[data-model="${id}"]`)

async function ask(text: string): Promise<void> {
  await page.getByLabel('Message', { exact: true }).fill(text)
  await page.keyboard.press('Enter')
}

describe('the chat', () => {
  it('shows an answer while it is still being written, then its speed', async () => {
    const rest = gate()
    hub.script = async function* () {
      yield* words('The first half is here')(arguments[0])
      await rest.passed
      yield* words(' and now the second.')(arguments[0])
    }
    await open()
    await shot('empty-light')
    await ask('Tell me something.')
    await page.getByText('The first half is here').waitFor()
    expect(await answer().getAttribute('data-state')).toBe('streaming')
    expect(await answer().textContent()).not.toContain('second')
    await page.getByRole('button', { name: 'Stop' }).waitFor()
    rest.open()
    await stateOf('done')
    expect(await answer().textContent()).toContain('The first half is here and now the second.')
    expect(await answer().locator('footer').textContent()).toMatch(
      /^qwen3-8b · first token \S+ m?s · [\d.]+ tok\/s · 9 tokens/,
    )
    expect(hub.requests[0]!.body).toEqual({
      model: 'qwen3-8b',
      messages: [{ role: 'user', content: 'Tell me something.' }],
      stream: true,
      stream_options: { include_usage: true },
    })
  })

  it('stops the request at the hub on Escape and keeps what came', async () => {
    hub.script = async function* () {
      yield { text: 'Partial' }
      await gate().passed
    }
    await open()
    await ask('Go on for ever.')
    await page.getByText('Partial').waitFor()
    await page.keyboard.press('Escape')
    await hub.requests[0]!.aborted
    await stateOf('stopped')
    expect(await answer().textContent()).toContain('Partial')
    hub.script = words('Better.')
    await page.getByRole('button', { name: 'Regenerate' }).click()
    await stateOf('done')
    expect(await page.locator('article[data-state]').count()).toBe(1)
    expect(hub.requests[1]!.body.messages).toEqual([{ role: 'user', content: 'Go on for ever.' }])
  })

  it('shows loading from comments and from 503 as progress, then answers', async () => {
    const ready = gate()
    let tries = 0
    hub.script = async function* (body) {
      tries += 1
      if (tries === 1) {
        const loading = { phase: 'installing the engine', percent: 12, etaS: 40 }
        yield { refuse: 503, retryAfterS: 1, body: { ...failure('It loads.', 'model_loading'), loading } }
      }
      yield { comment: 'loading reading weights 40 %' }
      await ready.passed
      yield* words('Awake now.')(body)
    }
    await open()
    await ask('Wake up.')
    await page.getByText('installing the engine').waitFor()
    await page.getByText('reading weights').waitFor()
    expect(await answer().getByRole('progressbar').getAttribute('value')).toBe('40')
    await shot('loading')
    ready.open()
    await stateOf('done')
    expect(tries).toBe(2)
    expect(await answer().locator('footer').textContent()).toContain('loading included')
  })

  it('keeps the part of an answer that broke, says why, and tries again', async () => {
    hub.script = async function* (body) {
      yield* words(essay.slice(0, 400))(body)
      yield 'break'
    }
    await open()
    await ask('Why is decoding bound by memory?')
    await stateOf('failed')
    expect(await answer().textContent()).toContain('Memory bandwidth sets the pace')
    expect(await answer().getByRole('alert').textContent()).toContain('The connection broke')
    await shot('error-broken')
    hub.script = async function* () {
      yield { text: 'Part' }
      yield { error: 'The engine died: signal SIGKILL.', code: 'engine_crashed' }
    }
    await page.getByRole('button', { name: 'Try again' }).click()
    await page.getByText('The engine died: signal SIGKILL.').waitFor()
    hub.script = async function* () {
      yield {
        refuse: 400,
        body: failure('The messages take 9000 tokens; the context is 8192.', 'context_length_exceeded'),
      }
    }
    await page.getByRole('button', { name: 'Try again' }).click()
    await page.getByText('the context is 8192').waitFor()
    await answer().getByRole('button', { name: 'New chat' }).click()
    await page.getByText('Ask your own machine.').waitFor()
  })

  it('makes nothing of HTML, script and addresses in an answer', async () => {
    hub.script = words(`<script>window.hacked = 1</script> <img src=x onerror="window.hacked = 2"> <b>bold</b>
[click](javascript:window.hacked=3) ![pic](https://elsewhere.example/x.png) [fine](https://example.org/)
<svg onload="window.hacked=4"> <iframe src="javascript:window.hacked=5"></iframe>

| <img src=y onerror="window.hacked=6"> | b |
|---|---|
| <style>body{display:none}</style> | [d](data:text/html,x) |

\`\`\`html"><script>window.hacked=7</script>
</code></pre><script>window.hacked = 8</script>
\`\`\``)
    await open()
    await ask('<img src=z onerror="window.hacked=9">')
    await stateOf('done')
    const body = page.locator('ol article')
    expect(await body.locator('script, img, iframe, style, svg, b').count()).toBe(0)
    const links = body.locator('a')
    expect(await links.evaluateAll((all) => all.map((a) => a.getAttribute('href')))).toEqual([
      'https://elsewhere.example/x.png',
      'https://example.org/',
    ])
    expect(await page.evaluate('window.hacked')).toBeUndefined()
    expect(await answer().textContent()).toContain('<script>window.hacked = 8</script>')
  })

  it('keeps the chat over a reload, opens old ones, and clears them', async () => {
    await open()
    await ask('Remember me')
    await stateOf('done')
    await page.reload()
    await page.getByText('Hello from the stub.').waitFor()
    await page.getByRole('button', { name: 'New chat' }).click()
    await ask('Another one')
    await stateOf('done')
    await page.getByRole('button', { name: 'Chats' }).click()
    await shot('chats')
    await page.getByRole('button', { name: /^Remember me/ }).click()
    await page.locator('.question', { hasText: 'Remember me' }).waitFor()
    await page.getByRole('button', { name: 'Chats' }).click()
    await page.getByRole('button', { name: 'Clear all' }).click()
    await page.getByRole('button', { name: 'Really clear all?' }).click()
    await page.getByText('Ask your own machine.').waitFor()
    expect(
      await page.evaluate("Object.keys(localStorage).filter((k) => k.startsWith('holon.chat.'))"),
    ).toEqual([])
  })

  it('sends the settings only when they are set, and refuses wrong ones', async () => {
    await open()
    await page.getByRole('button', { name: 'Settings' }).click()
    await page.getByLabel('System prompt').fill('Answer in one word.')
    await page.getByLabel('Temperature').fill('9')
    await page.getByText('A number from 0 to 2.').waitFor()
    await page.getByLabel('Temperature').fill('0.2')
    await page.getByLabel('Most tokens per answer').fill('64')
    await shot('settings')
    await page.getByLabel('Model', { exact: true }).selectOption('gemma-3-27b-it')
    await ask('Hi')
    await stateOf('done')
    expect(hub.requests[0]!.body).toMatchObject({
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
    await open()
    await page.keyboard.type('one')
    await page.keyboard.press('Shift+Enter')
    await page.keyboard.type('two')
    await page.keyboard.press('Enter')
    await stateOf('done')
    expect(hub.requests[0]!.body.messages[0]!.content).toBe('one\ntwo')
    await page.keyboard.press('Shift+Tab')
    for (let presses = 0; presses < 40; presses++) {
      const name = await page.evaluate('document.activeElement.textContent.trim()')
      if (name === 'New chat') break
      await page.keyboard.press('Shift+Tab')
    }
    await page.keyboard.press('Enter')
    await page.getByText('Ask your own machine.').waitFor()
    expect(await page.evaluate('document.activeElement.id')).toBe('message')
  })

  it('shows what a reasoning model thought apart from what it says', async () => {
    hub.script = async function* () {
      yield { thinking: 'Let me see.' }
      yield { text: 'Forty-two.' }
      yield { finish: 'length' }
    }
    await open()
    await ask('The answer?')
    await stateOf('done')
    await page.getByText('Thought first').click()
    await page.getByText('Let me see.').waitFor()
    await page.getByText('Cut at the token limit.').waitFor()
  })
})

describe('the models', () => {
  it('load and unload, with progress, memory and the reason of a failure', async () => {
    hub.loadStepMs = 400
    await open()
    await row('qwen3-8b').getByText('71.4 tok/s').waitFor()
    await row('half-a-file').getByText('The file ends before its tensors do.').waitFor()
    await row('gemma-3-27b-it').getByRole('button', { name: 'Load' }).click()
    await row('gemma-3-27b-it').getByText('Loading: reading weights').waitFor()
    await row('gemma-3-27b-it').getByRole('button', { name: 'Unload' }).waitFor()
    await page.getByText('24.5 GB of 51.5 GB').waitFor()
    hub.emit({
      type: 'answer',
      requestId: 'r',
      model: 'gemma-3-27b-it',
      node: 'studio',
      status: 200,
      promptTokens: 9,
      completionTokens: 9,
      ttftS: 0.1,
      decodeTokS: 24.6,
    })
    await row('gemma-3-27b-it').getByText('24.6 tok/s').waitFor()
    await row('llama-3.3-70b-instruct').getByRole('button', { name: 'Load' }).click()
    await row('llama-3.3-70b-instruct').getByText('needs more memory than is free').waitFor()
    hub.change({ running: hub.node.running.map((running) => ({ ...running, active: 1 })) })
    await row('qwen3-8b').getByText('1 answer').waitFor()
    await row('qwen3-8b').getByRole('button', { name: 'Unload' }).click()
    await row('qwen3-8b').getByText('it is unloaded when it is done').waitFor()
    hub.change({ running: hub.node.running.map((running) => ({ ...running, active: 0 })) })
    await row('gemma-3-27b-it').getByRole('button', { name: 'Unload' }).click()
    await page.getByText('8.00 GB of 51.5 GB').waitFor()
    expect(hub.loads).toEqual(['gemma-3-27b-it', 'llama-3.3-70b-instruct'])
  })

  it('come back by themselves after the hub was away', async () => {
    await open()
    await row('qwen3-8b').waitFor()
    await hub.stop()
    await page.getByText('The hub is away.').waitFor()
    await shot('away')
    await ask('Anyone?')
    await page.getByText('The hub does not answer.').waitFor()
    await hub.start()
    await page.getByText('The hub is away.').waitFor({ state: 'detached' })
    hub.changeModel('qwen3-8b', { state: 'disk' })
    await row('qwen3-8b').getByText('on disk').waitFor()
  })

  it('are polled where the hub offers no events', async () => {
    hub.offersEvents = false
    await open()
    await row('qwen3-8b').waitFor()
    hub.changeModel('qwen3-8b', { state: 'disk' })
    await row('qwen3-8b').getByText('on disk').waitFor()
  })

  it('are explained when there is only the demonstration model', async () => {
    await hub.stop()
    hub = new StubHub(dist, demoNode())
    hub.advice =
      'The best model for this machine is Qwen3 32B (Q8_0, 34.8 GB): get it with `holon pull Qwen/Qwen3-32B-GGUF`.'
    await hub.start()
    await open()
    await page.getByText('This is a demonstration model.').waitFor()
    await page.getByText('holon pull Qwen/Qwen3-32B-GGUF').last().waitFor()
    await shot('demo')
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await page.getByRole('button', { name: 'Copy command' }).click()
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe('holon pull Qwen/Qwen3-32B-GGUF')
    await page.getByRole('button', { name: 'What is Holon?' }).click()
    await stateOf('done')
    expect(hub.requests[0]!.body.messages[0]!.content).toBe('What is Holon?')
  })

  it('can be used from other tools: the address and the model are the real ones', async () => {
    await open()
    await page.getByText('Python', { exact: true }).click()
    const example = page.locator('aside pre')
    expect(await example.textContent()).toContain(`base_url="${hub.url}/v1"`)
    expect(await example.textContent()).toContain('model="qwen3-8b"')
  })
})

describe('the looks', () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    it(`has readable text in ${colorScheme}`, async () => {
      hub.script = words(essay)
      await open({ colorScheme, viewport: { width: 1600, height: 1000 } })
      await ask('Why is decoding bound by memory bandwidth?')
      await stateOf('done')
      await shot(`desktop-${colorScheme}`)
      const ground = await page.evaluate('getComputedStyle(document.body).backgroundColor')
      expect(ground).toBe(colorScheme === 'light' ? 'rgb(250, 249, 246)' : 'rgb(23, 24, 21)')
      expect(await page.evaluate(lowContrast)).toEqual([])
    })
  }

  it('shows a long answer as it streams', async () => {
    const hold = gate()
    hub.script = async function* (body) {
      yield* words(essay.slice(0, 560), 8)(body)
      await hold.passed
    }
    await open()
    await ask('Why is decoding bound by memory bandwidth?')
    await page.getByText('llama-bench').waitFor()
    await shot('streaming')
    hold.open()
    await stateOf('done')
  })

  it('fits a screen of 360 px, with the models one button away', async () => {
    hub.script = words(`${essay}\n\n${'longword'.repeat(30)}\n\n\`${'x'.repeat(200)}\``)
    await open({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true })
    await shot('phone-empty')
    await ask('Why is decoding bound by memory bandwidth, and what should I do about it?')
    await stateOf('done')
    await shot('phone')
    const overflow = 'document.scrollingElement.scrollWidth - innerWidth'
    expect(await page.evaluate(overflow)).toBe(0)
    await page.getByRole('button', { name: 'Models' }).click()
    await row('qwen3-8b').waitFor()
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Close')
    await shot('phone-models')
    expect(await page.evaluate(overflow)).toBe(0)
    await page.keyboard.press('Escape')
    await row('qwen3-8b').waitFor({ state: 'hidden' })
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Models')
  })

  it('keeps still for people who want less motion', async () => {
    hub.script = async function* () {
      yield { comment: 'loading' }
      await gate().passed
    }
    await open({ reducedMotion: 'reduce' })
    await ask('Hello')
    await page.getByText('Loading qwen3-8b').waitFor()
    expect(
      await page.evaluate("document.getAnimations().filter((a) => a.playState === 'running').length"),
    ).toBe(0)
  })
})

/** Text whose contrast to the ground behind it is below 4.5 (WCAG AA), as seen in the page itself. */
const lowContrast = `(() => {
  const channels = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number)
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0)
  const groundOf = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const c = channels(getComputedStyle(at).backgroundColor)
      if (c.length === 3 || c[3] === 1) return c
    }
    return [255, 255, 255]
  }
  const low = []
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim() !== '')
    if (!own || !element.checkVisibility() || element.closest(':disabled')) continue
    const [a, b] = [light(channels(getComputedStyle(element).color)), light(groundOf(element))]
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    if (contrast < 4.5) low.push(element.textContent.trim().slice(0, 40) + ' ' + contrast.toFixed(2))
  }
  return low
})()`
