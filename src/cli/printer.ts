import { styleText } from 'node:util'
import type { HolonError } from '../core/errors.ts'
import { toEnvelope } from '../core/errors.ts'
import { renderTable } from './table.ts'

/**
 * The only thing that writes to the terminal. Data goes to stdout, everything said around it to stderr, so that
 * `--json` is one document on stdout and a pipe never catches a progress bar.
 */
export interface Printer {
  readonly json: boolean
  /** Whether stdout is a person's terminal. */
  readonly interactive: boolean
  /** A line of data, on stdout. Nothing when `--json` is on. */
  line(text?: string): void
  /** Raw text on stdout, for streamed answers. */
  write(text: string): void
  table(head: string[], rows: string[][]): void
  /** The one JSON document of a `--json` run. */
  document(value: unknown): void
  /** A remark, on stderr. */
  note(text: string): void
  warn(text: string): void
  error(error: HolonError): void
  progress(label: string): Progress
  strong(text: string): string
  faint(text: string): string
  good(text: string): string
  bad(text: string): string
}

export interface Progress {
  /** @param fraction 0 to 1, or null when unknown */
  update(fraction: number | null, detail?: string): void
  done(detail?: string): void
  /** Ends the line without claiming success. */
  stop(): void
}

export interface Terminal {
  stdout: { write(text: string): unknown; isTTY?: boolean }
  stderr: { write(text: string): unknown; isTTY?: boolean; columns?: number }
  env: Record<string, string | undefined>
}

type Style = Parameters<typeof styleText>[0]

export function createPrinter(terminal: Terminal, json: boolean): Printer {
  const { stdout, stderr, env } = terminal
  const plain = env.NO_COLOR !== undefined && env.NO_COLOR !== ''
  const paint = (style: Style, text: string, stream: { isTTY?: boolean }) =>
    plain || !stream.isTTY ? text : styleText(style, text, { validateStream: false })
  const out = (style: Style) => (text: string) => paint(style, text, stdout)
  return {
    json,
    interactive: stdout.isTTY === true && !json,
    line: (text = '') => {
      if (!json) stdout.write(`${text}\n`)
    },
    write: (text) => {
      if (!json) stdout.write(text)
    },
    table: (head, rows) => {
      if (!json) stdout.write(renderTable(head.map(out('bold')), rows))
    },
    document: (value) => {
      stdout.write(`${JSON.stringify(value, null, 2)}\n`)
    },
    note: (text) => {
      stderr.write(`${text}\n`)
    },
    warn: (text) => {
      stderr.write(`${paint('yellow', 'warning:', stderr)} ${text}\n`)
    },
    error: (error) => {
      if (json) stdout.write(`${JSON.stringify(toEnvelope(error), null, 2)}\n`)
      stderr.write(`${paint('red', 'error:', stderr)} ${error.message}\n`)
      if (error.hint) stderr.write(`\n${paint('cyan', 'hint:', stderr)} ${error.hint}\n`)
    },
    progress: (label) => createProgress(stderr, label),
    strong: out('bold'),
    faint: out('dim'),
    good: out('green'),
    bad: out('red'),
  }
}

/** A bar that redraws in place on a terminal; elsewhere one line at the start, each further tenth, and the end. */
function createProgress(stderr: Terminal['stderr'], label: string): Progress {
  const live = stderr.isTTY === true
  let lastTenth = -1
  let lastDrawn = 0
  let lastText = ''
  const draw = (text: string) => {
    const width = Math.max(20, (stderr.columns ?? 80) - 1)
    stderr.write(`\r${text.slice(0, width)}\u001b[K`)
  }
  return {
    update(fraction, detail = '') {
      const share = fraction === null ? null : Math.min(1, Math.max(0, fraction))
      if (!live) {
        const tenth = share === null ? 0 : Math.floor(share * 10)
        if (tenth === lastTenth && detail === lastText) return
        if (share !== null && tenth === lastTenth) return
        lastTenth = tenth
        lastText = detail
        stderr.write(
          `${label}${share === null ? '' : ` ${Math.round(share * 100)} %`}${detail ? `  ${detail}` : ''}\n`,
        )
        return
      }
      if (Date.now() - lastDrawn < 80 && share !== 1) return
      lastDrawn = Date.now()
      const bar =
        share === null
          ? ''
          : ` ${'█'.repeat(Math.round(share * 24)).padEnd(24, '░')} ${Math.round(share * 100)} %`
      draw(`${label}${bar}${detail ? `  ${detail}` : ''}`)
    },
    done(detail = 'done') {
      if (live) stderr.write(`\r${label}  ${detail}\u001b[K\n`)
      else stderr.write(`${label}  ${detail}\n`)
    },
    stop() {
      if (live) stderr.write('\r\u001b[K')
    },
  }
}
