/** What the owner, and whoever has an admin key, may do with keys: the management API of them. */
import type { z } from 'zod'
import {
  createKeyRequest,
  createKeyResponse,
  type KeyInfo,
  keyAuditResponse,
  keyInfo,
  keyRequest,
  keysResponse,
  keyUsageResponse,
  revokeKeyResponse,
} from '../../protocol/keys.ts'
import type { Operation } from '../api/operations.ts'
import type { KeyBook } from '../store/key-book.ts'
import type { Key } from './keyring.ts'
import type { Keys } from './keys.ts'

export interface KeyOperationsDeps {
  keys: Keys
  book: KeyBook
  /** The canonical name that a name means; the name itself when it is an id or nothing known. */
  canonical(name: string): string
  /** How many models here a scope lets through. */
  countModels(models: readonly string[]): number
}

/** Any key may ask this of itself. */
export const selfPath = '/fleet/v1/keys/self'

export function keyOperations({ keys, book, canonical, countModels }: KeyOperationsDeps): Operation[] {
  return [
    {
      method: 'get',
      path: '/fleet/v1/keys',
      summary: 'All keys, without their secrets.',
      request: null,
      response: keysResponse,
      run: async () => ({ keys: keys.ring.all().map(toInfo) }),
    },
    {
      method: 'post',
      path: '/fleet/v1/keys',
      summary: 'Makes a key. Its secret is told this once.',
      request: createKeyRequest,
      response: createKeyResponse,
      run: async (body, { actor }) => {
        const asked = body as z.infer<typeof createKeyRequest>
        const models = asked.models && [...new Set(asked.models.map(canonical))]
        const first = !keys.closed
        const { secret, key } = await keys.create(
          { ...asked, models, lanes: [...new Set(asked.lanes)] },
          actor,
        )
        const warnings: string[] = []
        if (models !== null && countModels(models) === 0) {
          warnings.push(
            `No model here is named ${models.join(' or ')} yet: the key can use nothing until one is.`,
          )
        }
        if (first) {
          warnings.push(
            'From now on this hub answers nobody without a key. `holon` commands of its owner on this machine go on without one.',
          )
        }
        return { key: secret, info: toInfo(key), warnings }
      },
    },
    {
      method: 'post',
      path: '/fleet/v1/keys/revoke',
      summary: 'Revokes a key at once: answers under way are ended.',
      request: keyRequest,
      response: revokeKeyResponse,
      run: async (body, { actor }) => {
        const { key, ended } = await keys.revoke((body as z.infer<typeof keyRequest>).key, actor)
        return { info: toInfo(key), ended }
      },
    },
    {
      method: 'post',
      path: '/fleet/v1/keys/forget',
      summary: 'Takes a revoked or expired key out of the list.',
      request: keyRequest,
      response: keyInfo,
      run: async (body, { actor }) =>
        toInfo(await keys.forget((body as z.infer<typeof keyRequest>).key, actor)),
    },
    {
      method: 'get',
      path: '/fleet/v1/keys/usage',
      summary: 'Requests and tokens per key.',
      request: null,
      response: keyUsageResponse,
      run: async () => {
        const rows = await book.usage()
        return {
          usage: rows.map(({ lastMs, ...row }) => ({
            ...row,
            label: row.keyId === null ? null : (keys.ring.get(row.keyId)?.name ?? null),
            lastUsedAt: iso(lastMs),
          })),
        }
      },
    },
    {
      method: 'get',
      path: '/fleet/v1/keys/audit',
      summary: 'Who made, revoked and forgot which key, newest first.',
      request: null,
      response: keyAuditResponse,
      run: async () => ({ entries: await book.audits(200) }),
    },
    {
      method: 'get',
      path: selfPath,
      summary: 'What the key that asks may do, and what it has used. The owner is told null.',
      request: null,
      response: keyInfo.nullable(),
      run: async (_, { caller }) => {
        const key = caller.keyId === null ? undefined : keys.ring.get(caller.keyId)
        return key === undefined ? null : toInfo(key)
      },
    },
  ]
}

function toInfo(key: Key): KeyInfo {
  const { id, label, hint, models, lanes, admin, limits, ...record } = key.record
  const used = key.meter.used()
  return {
    id,
    label,
    hint,
    state: record.revokedMs !== null ? 'revoked' : key.expired ? 'expired' : 'active',
    models: models && [...models],
    lanes: [...lanes],
    admin,
    limits,
    createdAt: new Date(record.createdMs).toISOString(),
    createdBy: record.createdBy,
    expiresAt: iso(record.expiresMs),
    revokedAt: iso(record.revokedMs),
    revokedBy: record.revokedBy,
    tokensToday: used.day,
    tokensThisMonth: used.month,
    underWay: key.underWay,
  }
}

function iso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}
