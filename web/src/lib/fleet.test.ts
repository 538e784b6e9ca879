import { describe, expect, it } from 'vitest'
import { type FleetState, FleetWatch } from './fleet.ts'

const nodeNamed = (id: string, models: { id: string }[] = []) => ({
  id,
  name: id,
  state: 'ready',
  models,
  running: [],
})
const settle = () => new Promise<void>((resolve) => setTimeout(resolve, 1))
const encode = (value: unknown) => new TextEncoder().encode(`event: x\ndata: ${JSON.stringify(value)}\n\n`)

/** A hub whose paths the test sets, and a clock that moves only when the test says so. */
function setup(events: 'stream' | 'missing' | 'down') {
  const hub = {
    events,
    asked: [] as string[],
    advice: 'pull something',
    streams: [] as ReadableStreamDefaultController[],
  }
  const waits: { seconds: number; pass(): void }[] = []
  const watch = new FleetWatch({
    fetch: async (input, init) => {
      const path = String(input)
      hub.asked.push(path)
      if (hub.events === 'down') throw new TypeError('Failed to fetch')
      if (path === '/fleet/v1/events') {
        if (hub.events === 'missing') return Response.json({ error: { message: 'no' } }, { status: 404 })
        const body = new ReadableStream({
          start: (controller) => {
            hub.streams.push(controller)
            init?.signal?.addEventListener('abort', () => controller.error(init.signal?.reason))
          },
        })
        return new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } })
      }
      if (path === '/fleet/v1/status') return Response.json({ version: '1', advice: hub.advice })
      if (path === '/fleet/v1/nodes') return Response.json({ nodes: [nodeNamed('first')] })
      if (path === '/fleet/v1/models') return Response.json({ models: [{ id: 'm' }] })
      return Response.json({ models: [{ id: 'm', engine: 'e' }] })
    },
    wait: (seconds, signal) =>
      new Promise((resolve, reject) => {
        const fail = () => reject(signal.reason)
        signal.addEventListener('abort', fail)
        waits.push({
          seconds,
          pass: () => {
            signal.removeEventListener('abort', fail)
            resolve()
          },
        })
      }),
  })
  const abort = new AbortController()
  const seen: FleetState['link'][] = []
  watch.subscribe((state) => {
    if (seen.at(-1) !== state.link) seen.push(state.link)
  })
  const running = watch.run(abort.signal)
  const stop = async () => {
    abort.abort()
    await running
  }
  return { hub, watch, waits, seen, stop }
}

describe('watching the fleet', () => {
  it('follows the event stream, and asks for new advice when the models change', async () => {
    const { hub, watch, stop } = setup('stream')
    await settle()
    expect(watch.state).toMatchObject({ link: 'live', status: { advice: 'pull something' } })
    expect(watch.state.nodes.map((node) => node.id)).toEqual(['first'])
    hub.advice = ''
    hub.streams[0]!.enqueue(encode({ type: 'nodes', nodes: [nodeNamed('second', [{ id: 'm' }])] }))
    hub.streams[0]!.enqueue(encode({ type: 'answer', model: 'm', decodeTokS: 42 }))
    hub.streams[0]!.enqueue(encode({ type: 'something newer' }))
    hub.streams[0]!.enqueue(encode({ type: 'nodes', nodes: [null, 3, { id: 'x' }] }))
    await settle()
    expect(watch.state.nodes).toEqual([])
    expect(watch.state.lastTokS).toEqual({ m: 42 })
    expect(watch.state.status?.advice).toBe('')
    await stop()
  })

  it('notes that the hub is away, waits longer each time, and comes back by itself', async () => {
    const { hub, watch, waits, seen, stop } = setup('stream')
    await settle()
    hub.events = 'down'
    hub.streams[0]!.error(new TypeError('network error'))
    await settle()
    expect(watch.state.link).toBe('away')
    expect(watch.state.nodes).toHaveLength(1)
    for (let n = 0; n < 5; n++) {
      waits.at(-1)!.pass()
      await settle()
    }
    expect(waits.map((wait) => wait.seconds)).toEqual([1, 2, 4, 8, 10, 10])
    hub.events = 'stream'
    watch.hurry()
    await settle()
    expect(seen).toEqual(['connecting', 'live', 'away', 'live'])
    await stop()
  })

  it('comes back after a stream that the hub closed in good order', async () => {
    const { hub, watch, waits, stop } = setup('stream')
    await settle()
    hub.streams[0]!.close()
    await settle()
    expect(waits.map((wait) => wait.seconds)).toEqual([1])
    waits[0]!.pass()
    await settle()
    expect(watch.state.link).toBe('live')
    await stop()
  })

  it('polls a hub that has no events, and tries for them again later', async () => {
    const { hub, watch, waits, stop } = setup('missing')
    await settle()
    expect(watch.state.link).toBe('polling')
    expect(watch.state.nodes).toMatchObject([
      { memory: null, models: [{ id: 'm' }], running: [{ engine: 'e' }] },
    ])
    hub.events = 'stream'
    for (let n = 0; n < 20; n++) {
      waits.at(-1)!.pass()
      await settle()
    }
    expect(watch.state.link).toBe('live')
    await stop()
  })

  it('stops asking when told to', async () => {
    const { hub, stop } = setup('down')
    await settle()
    await stop()
    const asked = hub.asked.length
    await settle()
    expect(hub.asked).toHaveLength(asked)
  })
})
