/**
 * Takes the README's picture of the page: the real program, the real engine, the demonstration model, a real browser.
 * `node tools/page-picture.mjs [file.png]`, with Chromium on the PATH and the project built.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const root = fileURLToPath(new URL('..', import.meta.url))
const file = process.argv[2] ?? join(root, 'docs', 'images', 'page.png')
const home = mkdtempSync(join(tmpdir(), 'holon-picture-'))
const up = spawn(process.execPath, [join(root, 'dist', 'cli', 'main.js'), 'up', '--no-open'], {
  env: { ...process.env, HOLON_HOME: home, HOLON_PORT: '0' },
  stdio: ['ignore', 'pipe', 'inherit'],
})
try {
  const url = await new Promise((resolve) => {
    let text = ''
    up.stdout.on('data', (chunk) => {
      text += chunk
      const found = text.match(/Holon is up at (http:\S+)/)
      if (found && /is ready/.test(text)) resolve(found[1])
    })
  })
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
  })
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, deviceScaleFactor: 1.5 })
  await page.goto(url)
  for (const question of ['What is Holon?', 'When does pooling pay?']) {
    await page.getByRole('textbox').first().fill(question)
    await page.keyboard.press('Enter')
    await page.waitForTimeout(2500)
  }
  await page.screenshot({ path: file })
  await browser.close()
} finally {
  up.kill('SIGTERM')
  await new Promise((resolve) => up.once('close', resolve))
  rmSync(home, { recursive: true, force: true })
}
