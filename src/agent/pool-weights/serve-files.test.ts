import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { serveFiles } from './serve-files.ts'

test('files whose serving is given up while the port is opened leave no port', async () => {
  const giveUp = new AbortController()
  const secret = randomBytes(32).toString('base64url')
  const serving = serveFiles({ folder: '/nowhere', files: [], host: '127.0.0.1', secret }, giveUp.signal)
  giveUp.abort(new Error('enough'))
  await expect(serving).rejects.toThrow('enough')
  await expect.poll(() => process.getActiveResourcesInfo()).not.toContain('TCPServerWrap')
})
