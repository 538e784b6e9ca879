import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { fileUrl, listRepoFiles } from './hugging-face.ts'
import { huggingFaceFromEnv } from './pull-model.ts'

let server: Server
let origin: string
let pages: { status?: number; body: string; next?: string }[]
const tokens: (string | undefined)[] = []
beforeEach(async () => {
  pages = []
  tokens.length = 0
  server = createServer((request, response) => {
    tokens.push(request.headers.authorization)
    const page = pages.shift() ?? { status: 404, body: '' }
    response.writeHead(page.status ?? 200, page.next ? { link: `<${page.next}>; rel="next"` } : {})
    response.end(page.body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(() => {
  server.closeAllConnections()
  server.close()
})
const list = () =>
  listRepoFiles(
    'o/r',
    { endpoint: origin, stallMs: 1_000, token: 't', tokenOrigin: origin },
    AbortSignal.timeout(5_000),
  )
const entry = (path: string, oid = 'a'.repeat(64)) => ({
  type: 'file',
  path,
  size: 10,
  lfs: { oid, size: 1e9 },
})

it('reads sizes and hashes of all pages', async () => {
  pages = [
    { body: JSON.stringify([entry('a.gguf'), { type: 'directory', path: 'd' }]), next: `${origin}/page2` },
    { body: JSON.stringify([{ type: 'file', path: 'README.md', size: 12 }]) },
  ]
  expect(await list()).toEqual([
    { path: 'a.gguf', sizeBytes: 1e9, sha256: 'a'.repeat(64) },
    { path: 'README.md', sizeBytes: 12, sha256: null },
  ])
})

it('follows no page to another host, where the token would go along', async () => {
  pages = [{ body: '[]', next: 'http://127.0.0.1:1/steal' }]
  expect(await list()).toEqual([])
  expect(tokens).toEqual(['Bearer t'])
})

it('takes nothing from an answer that climbs out of the folder or is no list', async () => {
  pages = [
    {
      body: JSON.stringify([
        entry('../../etc/x.gguf'),
        entry('/abs.gguf'),
        entry('ok.gguf', 'nonsense'),
        7,
        null,
      ]),
    },
  ]
  expect(await list()).toEqual([{ path: 'ok.gguf', sizeBytes: 1e9, sha256: null }])
  pages = [{ body: '<html>' }]
  await expect(list()).rejects.toMatchObject({ hint: expect.stringMatching(/HF_ENDPOINT/) })
  pages = [{ body: '{"error":"no"}' }]
  await expect(list()).rejects.toMatchObject({ code: 'download_failed' })
})

it('says whether to try again, to log in or to look at the name', async () => {
  pages = [{ status: 401, body: '' }]
  await expect(list()).rejects.toMatchObject({
    code: 'model_not_found',
    message: expect.stringMatching(/this HF_TOKEN/),
  })
  pages = [{ status: 503, body: '' }]
  await expect(list()).rejects.toMatchObject({ name: 'HolonError', code: 'download_failed' })
})

it('writes addresses that survive odd names, and reads HF_ENDPOINT and HF_TOKEN', () => {
  expect(fileUrl('o/r', 'a b/c#1.gguf', 'https://h')).toBe('https://h/o/r/resolve/main/a%20b/c%231.gguf')
  expect(huggingFaceFromEnv({})).toMatchObject({ endpoint: 'https://huggingface.co', token: undefined })
  expect(huggingFaceFromEnv({ HF_ENDPOINT: 'https://mirror.example/hf/', HF_TOKEN: 'x' })).toMatchObject({
    endpoint: 'https://mirror.example/hf',
    tokenOrigin: 'https://mirror.example',
    token: 'x',
  })
})
