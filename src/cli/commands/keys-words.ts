/** What a key may do, in a few words for a table. */
import type { KeyInfo, KeyLimits } from '../../protocol/keys.ts'
import { lanes } from '../../protocol/lane.ts'

export function scopeInWords(key: Pick<KeyInfo, 'models' | 'lanes' | 'admin'>): string {
  const parts = [key.models === null ? 'all models' : key.models.join(', ')]
  if (lanes.some((lane) => !key.lanes.includes(lane))) parts.push(`lane ${key.lanes.join(', ')}`)
  if (key.admin) parts.push('admin')
  return parts.join('; ')
}

export function limitsInWords(limits: KeyLimits): string {
  const { requestsPerMinute, tokensPerMinute, tokensPerDay, tokensPerMonth, concurrency } = limits
  const parts = [
    requestsPerMinute && `${requestsPerMinute} requests/min`,
    tokensPerMinute && `${tokensPerMinute} tokens/min`,
    tokensPerDay && `${tokensPerDay} tokens/day`,
    tokensPerMonth && `${tokensPerMonth} tokens/month`,
    concurrency && `${concurrency} at once`,
  ]
  return parts.filter((part) => part !== null).join(', ') || 'none'
}
