/** The page's looks: colours, sizes, motion, in a real Chromium against a stub hub over real HTTP. */
import { describe, expect, it } from 'vitest'
import { essay } from '../web/essay.ts'
import { demoNode } from '../web/sample-node.ts'
import { gate, words } from '../web/stub-hub.ts'
import { usePage } from '../web/use-page.ts'

const handle = usePage()
const t = () => handle.current

describe('the looks', () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    it(`has readable text in ${colorScheme}`, async () => {
      t().hub.script = words(essay, 6)
      await t().open({ colorScheme, viewport: { width: 1600, height: 1000 } })
      await t().ask('Why is decoding bound by memory bandwidth?')
      await t().reached('done')
      await t().shot(`desktop-${colorScheme}`)
      const ground = await t().page.evaluate('getComputedStyle(document.body).backgroundColor')
      expect(ground).toBe(colorScheme === 'light' ? 'rgb(250, 249, 246)' : 'rgb(23, 24, 21)')
      expect(await t().page.evaluate(lowContrast)).toEqual([])
    })
  }

  it('shows a long answer as it streams', async () => {
    const hold = gate()
    t().hub.script = async function* () {
      yield* words(essay.slice(0, 560), 8)()
      await hold.passed
    }
    await t().open()
    await t().ask('Why is decoding bound by memory bandwidth?')
    await t().page.getByText('llama-bench').waitFor()
    await t().shot('streaming')
    hold.open()
    await t().reached('done')
  })

  it('fits a screen of 360 px, with the models one button away', async () => {
    t().hub.script = words(`${essay}\n\n${'longword'.repeat(30)}\n\n\`${'x'.repeat(200)}\``)
    await t().open({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true })
    await t().shot('phone-empty')
    await t().ask('Why is decoding bound by memory bandwidth, and what should I do about it?')
    await t().reached('done')
    await t().shot('phone')
    const overflow = 'document.scrollingElement.scrollWidth - innerWidth'
    expect(await t().page.evaluate(overflow)).toBe(0)
    await t().page.getByRole('button', { name: 'Models' }).click()
    await t().row('qwen3-8b').waitFor()
    expect(await t().page.evaluate('document.activeElement.textContent')).toBe('Close')
    await t().shot('phone-models')
    expect(await t().page.evaluate(overflow)).toBe(0)
    await t().page.keyboard.press('Escape')
    await t().row('qwen3-8b').waitFor({ state: 'hidden' })
    expect(await t().page.evaluate('document.activeElement.textContent')).toBe('Models')
  })

  it('fits the notice of the demonstration model on a small screen', async () => {
    await t().hub.stop()
    await t().startHub(demoNode())
    t().hub.advice =
      'The best model for this machine is Qwen3 32B: `holon pull hf:Qwen/Qwen3-32B-GGUF/Qwen3-32B-Q8_0.gguf`.'
    await t().open({ viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true })
    await t().page.getByText('This is a demonstration model.').waitFor()
    await t().shot('phone-demo')
    expect(await t().page.evaluate('document.scrollingElement.scrollWidth - innerWidth')).toBe(0)
    await t().page.getByRole('button', { name: 'How do I get a real model?' }).click()
    await t().reached('done')
    // The answer matters more now: the notice folds itself to one line.
    expect(await t().page.locator('details').first().getAttribute('open')).toBeNull()
  })

  it('keeps up with a very long answer', async () => {
    t().hub.script = words(`${essay}\n\n`.repeat(120))
    await t().open()
    await t().ask('Write a book.')
    await t().reached('done')
    expect(await t().page.locator('ol article table').count()).toBe(120)
    expect(await t().page.locator('ol article pre').count()).toBe(120)
  })

  it('keeps still for people who want less motion', async () => {
    t().hub.script = async function* () {
      yield { comment: 'loading' }
      await gate().passed
    }
    await t().open({ reducedMotion: 'reduce' })
    await t().ask('Hello')
    await t().page.getByText('Loading qwen3-8b').waitFor()
    expect(
      await t().page.evaluate("document.getAnimations().filter((a) => a.playState === 'running').length"),
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
