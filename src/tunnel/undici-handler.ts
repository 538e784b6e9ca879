/**
 * undici 7 has two kinds of handlers: those with a controller, and the older ones that its own `request()` and
 * `stream()` still are. undici keeps the adapter between them to itself.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'

export function modernHandler(handler: Dispatcher.DispatchHandler): Dispatcher.DispatchHandler {
  return handler.onRequestStart ? handler : new OlderHandler(handler)
}

/** A controller for a request that never began. */
export function asController(): Dispatcher.DispatchController {
  const nothing = (): void => undefined
  return { aborted: true, paused: false, reason: null, abort: nothing, pause: nothing, resume: nothing }
}

class OlderHandler implements Dispatcher.DispatchHandler {
  private readonly handler: Dispatcher.DispatchHandler

  constructor(handler: Dispatcher.DispatchHandler) {
    this.handler = handler
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.handler.onConnect?.((reason) => controller.abort(reason ?? new Error('The request was aborted.')))
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    statusText?: string,
  ): void {
    const raw: Buffer[] = []
    for (const [name, value] of Object.entries(headers)) {
      for (const each of [value ?? []].flat())
        raw.push(Buffer.from(name, 'latin1'), Buffer.from(each, 'latin1'))
    }
    const goOn = this.handler.onHeaders?.(status, raw, () => controller.resume(), statusText ?? '')
    if (goOn === false) controller.pause()
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.handler.onData?.(chunk) === false) controller.pause()
  }

  onResponseEnd(): void {
    this.handler.onComplete?.([])
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.handler.onError?.(error)
  }
}
