/** The page of a hub that wants a key, in a real Chromium: it asks, is told when it is wrong, and works with either kind. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CreateKeyResponse } from '../../src/protocol/keys.ts'
import { type Stand, startStand } from '../hub/start-hub.ts'
import { launchChromium } from '../web/chromium.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const dist = mkdtempSync(join(tmpdir(), 'holon-page-'))
const owner = 'the-owners-own-long-secret'
let stand: Stand
let browser: Browser

beforeAll(async () => {
  const build = ['run', 'build', '--workspace', 'web', '--', '--outDir', dist, '--emptyOutDir']
  await promisify(execFile)('npm', build, { cwd: root })
  stand = await startStand({ apiKey: owner, assetsDir: dist })
  browser = await launchChromium()
}, 120_000)
afterAll(async () => {
  await browser?.close()
  await stand?.stop()
  rmSync(dist, { recursive: true, force: true })
})

async function open(): Promise<Page> {
  const page = await (await browser.newContext()).newPage()
  page.setDefaultTimeout(30_000)
  await page.goto(stand.url)
  return page
}

async function give(page: Page, key: string): Promise<void> {
  await page.getByLabel('asks for a key').or(page.getByLabel('does not know that key')).fill(key)
  await page.getByRole('button', { name: 'Use it' }).click()
}

async function ask(page: Page): Promise<void> {
  // Without a model there is an option too, which says so, and Enter does nothing.
  await page.locator('#model option:not([value=""])').first().waitFor({ state: 'attached' })
  await page.getByLabel('Message', { exact: true }).fill('hello')
  await page.keyboard.press('Enter')
  await page.locator('article[data-state="done"]').last().waitFor()
}

test('asks for the key, says when it is wrong, works with the right one and keeps it', async () => {
  const page = await open()
  await page.getByText('This hub asks for a key.').waitFor()
  expect(await page.getByText('The hub is away.').count()).toBe(0)
  await give(page, 'hk_wrong')
  await page.getByText('This hub does not know that key.').waitFor()
  await give(page, owner)
  await ask(page)
  expect(await page.getByText('asks for a key').count()).toBe(0)
  await page.reload()
  await ask(page)
  await page.context().close()
})

test('a key that may only chat chats, with the models it may use', async () => {
  const response = await stand.post(
    '/fleet/v1/keys',
    { label: 'guest', models: ['tiny'] },
    { headers: { 'content-type': 'application/json', authorization: `Bearer ${owner}` } },
  )
  const { key } = (await response.json()) as CreateKeyResponse
  const page = await open()
  await give(page, key)
  await ask(page)
  expect(await page.locator('#model option').allTextContents()).toHaveLength(1)
  await page.context().close()
})
