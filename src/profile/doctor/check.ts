/** One thing that was looked at. `title` says what was looked at, `detail` what was seen, `hint` what to do about it. */
export interface Check {
  id: string
  title: string
  /** `fail` keeps Holon from working, `warn` makes it worse than it need be. */
  status: 'ok' | 'warn' | 'fail'
  detail: string
  hint: string | null
}

/** The three outcomes of a check, with its name already filled in. */
export function checkCalled(id: string, title: string) {
  return {
    ok: (detail: string): Check => ({ id, title, status: 'ok', detail, hint: null }),
    warn: (detail: string, hint: string): Check => ({ id, title, status: 'warn', detail, hint }),
    fail: (detail: string, hint: string): Check => ({ id, title, status: 'fail', detail, hint }),
  }
}
