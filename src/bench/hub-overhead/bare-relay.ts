/**
 * The limit: the least a relay in Node can do with node:http and undici. It reads the body, sends it on and passes the
 * answer back; it checks, routes, measures and recovers nothing. A child program of the bench: argument 1 is the origin.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Pool } from 'undici'
import { reportToBench } from './told.ts'

const pool = new Pool(process.argv[2]!, { connections: null, pipelining: 1 })

const server = createServer((req, res) => {
  const chunks: Buffer[] = []
  req.on('data', (chunk: Buffer) => chunks.push(chunk))
  req.on('end', () => {
    pool
      .stream(
        {
          path: req.url!,
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks),
        },
        ({ statusCode, headers }) => {
          res.writeHead(statusCode, { 'content-type': headers['content-type'] })
          return res
        },
      )
      .catch(() => res.destroy())
  })
}) // As the hub has it: no connection is closed between two turns.
server.keepAliveTimeout = 65_000
server.listen(0, '127.0.0.1', () => {
  reportToBench(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, () => process.exit(0))
})
