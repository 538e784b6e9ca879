/** The browser behind the stores: its fetch, clock, frames and storage. Tests put their own in place. */
import type { ChatEffects } from './chat.ts'

/** Resolves after so many seconds; rejects with the signal's reason when aborted. */
function wait(seconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, seconds * 1000)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}

/** @param call fetch, with the key of the hub where there is one */
export const browserEffects = (call: typeof fetch): ChatEffects => ({
  fetch: call,
  wait,
  now: () => performance.now(),
  date: () => Date.now(),
  // randomUUID needs a secure context, which a hub reached by its address on the network is not.
  newId: () => Array.from(crypto.getRandomValues(new Uint32Array(3)), (n) => n.toString(36)).join(''),
  // A hidden tab draws no frames; a timer then keeps what streams from piling up undrawn.
  schedule: (draw) => {
    if (document.hidden) setTimeout(draw, 250)
    else requestAnimationFrame(() => draw())
  },
})

/** Null where the browser forbids storage. */
export function browserStorage(): Storage | null {
  try {
    return window.localStorage
  } catch {
    return null
  }
}

/** Copies text, also where the modern way is barred because the hub is reached over plain HTTP. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const area = document.createElement('textarea')
    area.value = text
    area.className = 'heard'
    document.body.append(area)
    area.select()
    const copied = document.execCommand('copy')
    area.remove()
    return copied
  }
}
