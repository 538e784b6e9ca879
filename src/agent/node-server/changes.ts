/** The node's picture, told to the hub whenever it changes. A hub that does not read gets the newest one later. */
import type { Http2ServerResponse } from 'node:http2'
import { jsonLine } from '../../core/lines.ts'
import type { NodeHandle, NodeState } from '../../protocol/node.ts'
import { maxReportBytes, type NodeReport } from '../../protocol/node-wire.ts'

export function streamChanges(
  node: NodeHandle,
  words: { role: string | null; place: string | null },
  response: Http2ServerResponse,
): void {
  let last = ''
  const send = (): void => {
    if (response.stream.writableNeedDrain) return
    const line = fitting(reportOf(node.state(), words))
    if (line === last) return
    last = line
    response.write(line)
  }
  response.writeHead(200, { 'content-type': 'application/x-ndjson' })
  const stop = node.subscribe(send)
  response.on('drain', send)
  response.on('close', stop)
  send()
}

function reportOf(state: NodeState, words: { role: string | null; place: string | null }): NodeReport {
  const { profile, engines, models, running, memory } = state
  return { profile, engines, models, running, memory, ...words }
}

/** A machine with thousands of models tells as many as fit, those in memory or on the way first. */
function fitting(report: NodeReport): string {
  let models = report.models
  for (;;) {
    const line = jsonLine({ ...report, models })
    if (Buffer.byteLength(line) <= maxReportBytes || models.length === 0) return line
    const busyFirst = [...models].sort((a, b) => Number(a.state === 'disk') - Number(b.state === 'disk'))
    models = busyFirst.slice(0, Math.floor(models.length / 2))
  }
}
