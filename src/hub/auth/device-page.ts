/** The page on which a person lets a machine in. Plain HTML with no script: what it shows comes from a stranger. */
import { securityHeaders } from '../web.ts'
import type { DeviceRequest } from './device-flow.ts'

export const devicePageHeaders: Record<string, string> = {
  ...securityHeaders,
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'x-frame-options': 'DENY',
  'cache-control': 'no-store',
  'content-type': 'text/html; charset=utf-8',
}

export type DevicePage =
  | { kind: 'ask'; problem: string | null }
  | { kind: 'request'; request: DeviceRequest; needsKey: boolean; problem: string | null; nowMs: number }
  | { kind: 'done'; name: string; approved: boolean }

export function devicePage(page: DevicePage): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Holon: let a machine in</title>
<style>${style}</style>
</head>
<body>
<main>
${content(page)}
</main>
</body>
</html>
`
}

function content(page: DevicePage): string {
  if (page.kind === 'done') {
    const name = escapeHtml(page.name)
    return page.approved
      ? `<h1>${name} may join</h1>\n<p role="status">It connects within a few seconds. You can close this page; <a href="/">the fleet is here</a>.</p>`
      : `<h1>${name} was turned away</h1>\n<p role="status">It got nothing. You can close this page.</p>`
  }
  if (page.kind === 'ask') {
    return `<h1>Let a machine in</h1>
<p>On the machine, <code>holon join</code> shows a code. Type it here.</p>
${problem(page.problem)}<form method="get" action="/device">
<label for="user_code">Code</label>
<input id="user_code" name="user_code" autocomplete="off" autocapitalize="characters" spellcheck="false" placeholder="WDJB-MJHT" required autofocus>
<button class="yes">Go on</button>
</form>`
  }
  const { request, needsKey, nowMs } = page
  const minutes = Math.max(1, Math.round((request.expiresAtMs - nowMs) / 60_000))
  const key = needsKey
    ? `<label for="key">The hub's key</label>
<input id="key" name="key" type="password" autocomplete="current-password" required>`
    : ''
  return `<h1>Let ${escapeHtml(request.name)} in?</h1>
<p>A machine that calls itself <strong>${escapeHtml(request.name)}</strong>, at ${escapeHtml(request.from)}, asks to join this fleet. It will be sent your questions, and its answers will pass for yours.</p>
<p>Check that it shows this code: <code class="code">${escapeHtml(request.userCode)}</code> If you started nothing, turn it away.</p>
${problem(page.problem)}<form method="post" action="/device">
<input type="hidden" name="user_code" value="${escapeHtml(request.userCode)}">
<input type="hidden" name="csrf" value="${escapeHtml(request.csrf)}">
${key}
<div class="row">
<button class="yes" name="decision" value="approve">Let it in</button>
<button name="decision" value="deny" formnovalidate>Turn it away</button>
</div>
</form>
<p class="soft">The code is good for ${minutes} more ${minutes === 1 ? 'minute' : 'minutes'}.</p>`
}

function problem(text: string | null): string {
  return text === null ? '' : `<p class="bad" role="alert">${escapeHtml(text)}</p>\n`
}

const escapes: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => escapes[character] ?? '')
}

const style = `
:root{color-scheme:light dark;--ground:light-dark(#faf9f6,#171815);--raised:light-dark(#fff,#232420);--ink:light-dark(#1f1e1b,#e8e6e0);--soft:light-dark(#5d5a53,#a8a59c);--line:light-dark(#8f8b82,#77756d);--accent:light-dark(#1f6b58,#7cc7b0);--on-accent:light-dark(#fff,#12201b);--bad:light-dark(#a3341f,#f0a08c)}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:1rem/1.6 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",sans-serif}
main{max-width:30rem;margin:12vh auto 2rem;padding:0 1.25rem}
h1{font-size:1.5rem;line-height:1.3;overflow-wrap:anywhere}
a{color:var(--accent)}
label{display:block;margin-top:1rem;font-size:.875rem;color:var(--soft)}
input:not([type=hidden]){display:block;width:100%;font:inherit;color:inherit;background:var(--raised);border:1px solid var(--line);border-radius:.625rem;padding:.5rem .75rem}
button{font:inherit;color:inherit;background:var(--raised);border:1px solid var(--line);border-radius:.625rem;padding:.5rem 1rem;margin-top:1rem;min-height:2.75rem;cursor:pointer}
button.yes{background:var(--accent);border-color:var(--accent);color:var(--on-accent)}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.row{display:flex;gap:.75rem;flex-wrap:wrap}
.code{font:600 1.5rem ui-monospace,"SF Mono",Menlo,Consolas,monospace;letter-spacing:.08em;display:block;margin:.5rem 0}
.soft{color:var(--soft);font-size:.8125rem}
.bad{color:var(--bad)}
`
