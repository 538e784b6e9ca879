/** A streamed answer, line by line from an engine to a caller: waits while the caller does not take it. */
import type { Writable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { HolonError } from '../../core/errors.ts'
import type { Translation } from '../attached-engine.ts'

/** A line longer than any engine writes: one embedding or a picture is not streamed. */
const maxLineChars = 16 * 1024 * 1024

/**
 * Ends `to` when the answer was whole.
 * @param touch the last word on each line that is sent
 * @throws whatever broke; `to` is left open then
 */
export async function translateLines(
  from: AsyncIterable<Buffer>,
  to: Writable,
  translation: Translation | null,
  touch: (line: string) => string,
): Promise<void> {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  const send = async (text: string): Promise<void> => {
    if (text === '') return
    if (to.destroyed) throw new Error('the caller left')
    if (to.write(text)) return
    translation?.callerIsSlow?.(true)
    await drained(to)
    translation?.callerIsSlow?.(false)
  }
  const turned = (line: string): string => (translation === null ? `${line}\n` : translation.line(line))
  for await (const chunk of from) {
    rest += decoder.write(chunk)
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > maxLineChars)
      throw new HolonError('engine_failed', 'A line of the answer does not end.')
    let out = ''
    for (const line of lines) out += touched(turned(line), touch)
    await send(out)
  }
  rest += decoder.end()
  let out = rest === '' ? '' : touched(translation === null ? rest : translation.line(rest), touch)
  if (translation !== null) out += touched(translation.end(), touch)
  await send(out)
  to.end()
}

/** What a translation says may be several lines. */
function touched(text: string, touch: (line: string) => string): string {
  return text.includes('\n') ? text.split('\n').map(touch).join('\n') : touch(text)
}

/** Resolves when the caller took what was written, or left. */
function drained(to: Writable): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      to.off('drain', settle)
      to.off('close', settle)
      resolve()
    }
    to.on('drain', settle)
    to.on('close', settle)
  })
}
