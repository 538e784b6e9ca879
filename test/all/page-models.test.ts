/** The page's models and machine, in a real Chromium against a stub hub over real HTTP. */
import { describe, expect, it } from 'vitest'
import { demoNode } from '../web/sample-node.ts'
import { usePage } from '../web/use-page.ts'

const handle = usePage()
const t = () => handle.current

describe('the models', () => {
  it('load and unload, with progress, memory and the reason of a failure', async () => {
    t().hub.loadStepMs = 400
    await t().open()
    await t().row('qwen3-8b').getByText('71.4 tok/s').waitFor()
    await t().row('half-a-file').getByText('The file ends before its tensors do.').waitFor()
    await t().row('gemma-3-27b-it').getByRole('button', { name: 'Load' }).click()
    await t().row('gemma-3-27b-it').getByText('Loading: reading weights').waitFor()
    await t().row('gemma-3-27b-it').getByRole('button', { name: 'Unload' }).waitFor()
    await t().page.getByText('24.5 GB of 51.5 GB').waitFor()
    t().hub.emit({
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
    await t().row('gemma-3-27b-it').getByText('24.6 tok/s').waitFor()
    await t().row('llama-3.3-70b-instruct').getByRole('button', { name: 'Load' }).click()
    await t().row('llama-3.3-70b-instruct').getByText('needs more memory than is free').waitFor()
    t().hub.change({ running: t().hub.node.running.map((running) => ({ ...running, active: 1 })) })
    await t().row('qwen3-8b').getByText('1 answer').waitFor()
    await t().row('qwen3-8b').getByRole('button', { name: 'Unload' }).click()
    await t().row('qwen3-8b').getByText('it is unloaded when it is done').waitFor()
    t().hub.change({ running: t().hub.node.running.map((running) => ({ ...running, active: 0 })) })
    await t().row('gemma-3-27b-it').getByRole('button', { name: 'Unload' }).click()
    await t().page.getByText('8.00 GB of 51.5 GB').waitFor()
    expect(t().hub.loads).toEqual(['gemma-3-27b-it', 'llama-3.3-70b-instruct'])
  })

  it('come back by themselves after the hub was away', async () => {
    await t().open()
    await t().row('qwen3-8b').waitFor()
    await t().hub.stop()
    await t().page.getByText('The hub is away.').waitFor()
    await t().shot('away')
    await t().ask('Anyone?')
    await t().page.getByText('The hub does not answer.').waitFor()
    await t().hub.start()
    await t().page.getByText('The hub is away.').waitFor({ state: 'detached' })
    t().hub.changeModel('qwen3-8b', { state: 'disk' })
    await t().row('qwen3-8b').getByText('on disk').waitFor()
  })

  it('are watched only while the page is seen', async () => {
    await t().open()
    await expect.poll(() => t().hub.watchers).toBe(1)
    const see = (hidden: boolean) =>
      t().page.evaluate(`Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true })
        document.dispatchEvent(new Event('visibilitychange'))`)
    await see(true)
    await expect.poll(() => t().hub.watchers).toBe(0)
    t().hub.changeModel('qwen3-8b', { state: 'disk' })
    await see(false)
    await t().row('qwen3-8b').getByText('on disk').waitFor()
    expect(t().hub.watchers).toBe(1)
  })

  it('are polled where the hub offers no events', async () => {
    t().hub.offersEvents = false
    await t().open()
    await t().row('qwen3-8b').waitFor()
    t().hub.changeModel('qwen3-8b', { state: 'disk' })
    await t().row('qwen3-8b').getByText('on disk').waitFor()
  })

  it('are explained when there is only the demonstration model', async () => {
    await t().hub.stop()
    await t().startHub(demoNode())
    t().hub.advice =
      'The best model for this machine is Qwen3 32B (Q8_0, 34.8 GB): get it with `holon pull Qwen/Qwen3-32B-GGUF`.'
    await t().open()
    await t().page.getByText('This is a demonstration model.').waitFor()
    await t().page.getByText('holon pull Qwen/Qwen3-32B-GGUF').last().waitFor()
    await t().shot('demo')
    await t().page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await t().page.getByRole('button', { name: 'Copy command' }).click()
    expect(await t().page.evaluate('navigator.clipboard.readText()')).toBe('holon pull Qwen/Qwen3-32B-GGUF')
    await t().page.getByRole('button', { name: 'What is Holon?' }).click()
    await t().reached('done')
    expect(t().hub.requests[0]!.body.messages[0]!.content).toBe('What is Holon?')
  })

  it('can be used from other tools: the address and the model are the real ones', async () => {
    await t().open()
    await t().page.getByText('Python', { exact: true }).click()
    const example = t().page.locator('aside pre')
    expect(await example.textContent()).toContain(`base_url="${t().hub.url}/v1"`)
    expect(await example.textContent()).toContain('model="qwen3-8b"')
  })
})
