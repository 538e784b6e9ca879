/**
 * Hooks for tests of the page in a real Chromium: builds the page as it ships, starts a stub hub for each test, and
 * fails a test whose page threw, broke its content security policy or asked anyone but its hub.
 * `HOLON_SHOTS=folder` keeps screenshots.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest'
import type { NodeState } from '../../src/protocol/index.ts'
import { launchChromium } from './chromium.ts'
import { sampleNode } from './sample-node.ts'
import { StubHub } from './stub-hub.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const shots = process.env.HOLON_SHOTS

export class PageUnderTest {
  hub!: StubHub
  page!: Page
  /** What went wrong in the page, in words. */
  readonly trouble: string[] = []
  #dist: string
  #browser: Browser

  constructor(dist: string, browser: Browser) {
    this.#dist = dist
    this.#browser = browser
  }

  async startHub(node: NodeState): Promise<void> {
    this.hub = new StubHub(this.#dist, node)
    await this.hub.start()
  }

  async open(options: BrowserContextOptions = {}): Promise<void> {
    const context = await this.#browser.newContext({ viewport: { width: 1280, height: 800 }, ...options })
    this.page = await context.newPage()
    this.page.on('pageerror', (error) => this.trouble.push(`page error: ${error.message}`))
    this.page.on('console', (message) => {
      // A refused or broken request is what many of these tests are about; the browser logs it as an error.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
        this.trouble.push(`console: ${message.text()}`)
      }
    })
    this.page.on('request', (request) => {
      if (!request.url().startsWith(this.hub.url)) this.trouble.push(`asked elsewhere: ${request.url()}`)
    })
    // Long, since a busy machine can hold a whole browser up for seconds; nobody waits for it unless a test fails.
    this.page.setDefaultTimeout(30_000)
    await this.page.goto(this.hub.url)
    await this.page.locator('#model option').first().waitFor({ state: 'attached' })
  }

  async close(): Promise<void> {
    await this.page?.context().close()
    await this.hub.stop()
  }

  async ask(text: string): Promise<void> {
    // Without a model there is an option too, which says so, and Enter does nothing.
    await this.page.locator('#model option:not([value=""])').first().waitFor({ state: 'attached' })
    await this.page.getByLabel('Message', { exact: true }).fill(text)
    await this.page.keyboard.press('Enter')
  }

  /** The last answer, in whatever state. */
  answer(): Locator {
    return this.page.locator('article[data-state]').last()
  }

  /** Waits until there is an answer in this state. */
  async reached(state: 'done' | 'stopped' | 'failed'): Promise<void> {
    await this.page.locator(`article[data-state="${state}"]`).last().waitFor()
  }

  /** A model's row in the side panel. */
  row(id: string): Locator {
    return this.page.locator(`li[data-model="${id}"]`)
  }

  async shot(name: string): Promise<void> {
    if (!shots) return
    mkdirSync(shots, { recursive: true })
    await this.page.screenshot({ path: join(shots, `${name}.png`) })
  }
}

/** Registers the hooks; the handle is filled in before each test. */
export function usePage(): { readonly current: PageUnderTest } {
  const handle: { current: PageUnderTest } = { current: undefined as unknown as PageUnderTest }
  const dist = mkdtempSync(join(tmpdir(), 'holon-page-'))
  let browser: Browser

  beforeAll(async () => {
    const build = ['run', 'build', '--workspace', 'web', '--', '--outDir', dist, '--emptyOutDir']
    await promisify(execFile)('npm', build, { cwd: root })
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser?.close()
    rmSync(dist, { recursive: true, force: true })
  })
  beforeEach(async () => {
    handle.current = new PageUnderTest(dist, browser)
    await handle.current.startHub(sampleNode())
  })
  afterEach(async () => {
    await handle.current.close()
    expect(handle.current.trouble).toEqual([])
  })
  return handle
}
