/** Serves the built page. Files only from under its folder, by real path, so that neither `..` nor a link leads out. */
import { createReadStream } from 'node:fs'
import { readFile, realpath, stat } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join, sep } from 'node:path'

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
  '.map': 'application/json',
}

export const securityHeaders: Record<string, string> = {
  'content-security-policy':
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
}

/** Names with a hash of their content never change. */
const hashed = /[-.][A-Za-z0-9_-]{8,}\.[a-z0-9]+$/

const noPage = `<!doctype html><meta charset="utf-8"><title>Holon</title>
<p>Holon is running. The page has not been built; run <code>npm run build</code>. The API is at <a href="/v1/models">/v1/models</a>.</p>\n`

/** @returns false when there is no such file, so that the caller can say 404 its own way */
export async function serveWeb(
  assetsDir: string | null,
  path: string,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<boolean> {
  const file = assetsDir === null ? null : await findFile(assetsDir, path)
  if (file === null) {
    if (path !== '/') return false
    res.writeHead(200, { ...securityHeaders, 'content-type': types['.html'], 'cache-control': 'no-cache' })
    res.end(req.method === 'HEAD' ? undefined : noPage)
    return true
  }
  const headers: Record<string, string | number> = {
    ...securityHeaders,
    'content-type': types[extname(file.path).toLowerCase()] ?? 'application/octet-stream',
    'cache-control': hashed.test(file.path) ? 'public, max-age=31536000, immutable' : 'no-cache',
    etag: file.etag,
  }
  if (req.headers['if-none-match'] === file.etag) {
    res.writeHead(304, headers).end()
    return true
  }
  headers['content-length'] = file.bytes
  if (req.method === 'HEAD') {
    res.writeHead(200, headers).end()
  } else if (file.bytes <= 1024 * 1024) {
    const content = await readFile(file.path)
    headers['content-length'] = content.length
    res.writeHead(200, headers).end(content)
  } else {
    res.writeHead(200, headers)
    createReadStream(file.path)
      .on('error', () => res.destroy())
      .pipe(res)
  }
  return true
}

async function findFile(
  assetsDir: string,
  path: string,
): Promise<{ path: string; bytes: number; etag: string } | null> {
  try {
    const name = decodeURIComponent(path)
    if (name.includes('\0') || name.includes('\\')) return null
    const root = await realpath(assetsDir)
    const real = await realpath(join(root, name.endsWith('/') ? `${name}index.html` : name))
    if (!real.startsWith(root + sep)) return null
    const found = await stat(real)
    if (!found.isFile()) return null
    return {
      path: real,
      bytes: found.size,
      etag: `"${found.size.toString(36)}-${Math.round(found.mtimeMs).toString(36)}"`,
    }
  } catch {
    return null
  }
}
