/**
 * Who may be a node of this fleet. A node comes in by a join token, once, or by a person's approval; from then on it
 * proves itself by a credential of its own. Secrets are given out once and kept as hashes. Times are this machine's
 * alone: no clock of a node is ever read.
 */
import type { Clock } from '../../core/clock.ts'
import { HolonError } from '../../core/errors.ts'
import { newId } from '../../core/ids.ts'
import type { Log } from '../../core/log.ts'
import type { NodeLedger, NodeRecord } from '../store/node-ledger.ts'
import { hashOf, newSecret, sameHash } from './secrets.ts'

export interface Admitted {
  nodeId: string
  name: string
  /** Told to the node, once. */
  credential: string
}

export interface AdmissionsOptions {
  ledger: NodeLedger
  clock: Clock
  log: Log
  /** Ends the node's tunnel now. */
  onRevoked(node: NodeRecord, reason: string): void
}

const defaultTokenS = 3600
const maxNodes = 10_000
/** A credential is replaced this long after it was made, when its node connects. Milliseconds. */
const rotateAfterMs = 30 * 86_400_000

export class Admissions {
  private readonly options: AdmissionsOptions
  private readonly ledger: NodeLedger
  private known: Promise<Map<string, NodeRecord>> | null = null

  constructor(options: AdmissionsOptions) {
    this.options = options
    this.ledger = options.ledger
  }

  /** Takes over what another hub on the same books changed; whom it sent away leaves here too. */
  async reload(): Promise<void> {
    if (this.known === null) return
    const before = await this.known
    const records = await this.ledger.nodes()
    this.known = Promise.resolve(new Map(records.map((record) => [record.id, record])))
    for (const node of records) {
      if (node.revokedMs === null || before.get(node.id)?.revokedMs !== null) continue
      this.options.onRevoked(node, `node ${node.name} was revoked`)
    }
  }

  /** Every node that was ever admitted, also one that was revoked: id to name. @throws HolonError store_unavailable */
  async names(): Promise<ReadonlyMap<string, string>> {
    return new Map([...(await this.nodes()).values()].map(({ id, name }) => [id, name]))
  }

  /** Reads the books before somebody waits for them; a failure is told when they are needed. */
  prepare(): void {
    this.nodes().catch(() => undefined)
  }

  async createToken(actor: string, ttlS = defaultTokenS): Promise<{ token: string; expiresAt: number }> {
    const token = newSecret('hjoin')
    const nowMs = this.options.clock.now()
    const expiresAt = nowMs + ttlS * 1000
    await this.ledger.addToken(hashOf(token), actor, nowMs, expiresAt)
    return { token, expiresAt }
  }

  /** @throws HolonError join_token_invalid, join_token_used */
  async joinByToken(token: string, name: string, actor: string): Promise<Admitted> {
    const { record, admitted } = await this.draft(name, 'join token')
    const fate = await this.ledger.admitByToken(hashOf(token), record, actor)
    if (fate !== 'taken') {
      this.options.log.warn({ from: actor, fate }, 'A join token was refused.')
      if (fate === 'used') {
        throw new HolonError('join_token_used', 'This join token has been used already.')
      }
      throw new HolonError(
        'join_token_invalid',
        fate === 'expired' ? 'This join token has expired.' : 'This join token is not known here.',
      )
    }
    return this.welcome(record, admitted)
  }

  /** A person said yes. */
  async admit(name: string, by: string, actor: string): Promise<Admitted> {
    const { record, admitted } = await this.draft(name, by)
    await this.ledger.admit(record, actor)
    return this.welcome(record, admitted)
  }

  /**
   * Who a credential belongs to.
   * @throws HolonError tunnel_refused, tunnel_revoked, store_unavailable
   */
  async authenticate(nodeId: string, credential: string): Promise<NodeRecord> {
    const hash = hashOf(credential)
    let node = (await this.nodes()).get(nodeId)
    if (!hasHash(node, hash) && this.ledger.shared) {
      // Another hub may have let it in, or given it a new credential, a moment ago.
      await this.reload()
      node = (await this.nodes()).get(nodeId)
    }
    if (!hasHash(node, hash)) throw new HolonError('tunnel_refused', 'The credential is not known here.')
    const nodes = await this.nodes()
    const isNext = sameHash(hash, node.nextHash)
    if (node.revokedMs !== null) {
      throw new HolonError('tunnel_revoked', `Node ${node.name} was revoked.`)
    }
    if (!isNext) return node
    const nowMs = this.options.clock.now()
    await this.ledger.promote(node.id, hash, nowMs)
    const promoted = { ...node, credentialHash: hash, nextHash: null, rotatedMs: nowMs }
    nodes.set(node.id, promoted)
    return promoted
  }

  /**
   * A credential to send to the node; the old one stays good until the new one was used.
   * @throws HolonError not_found
   */
  async rotate(idOrName: string): Promise<{ node: NodeRecord; credential: string }> {
    const node = await this.find(idOrName)
    const credential = newSecret('hnode')
    const nextHash = hashOf(credential)
    await this.ledger.setNextHash(node.id, nextHash, this.options.clock.now())
    const nodes = await this.nodes()
    nodes.set(node.id, { ...node, nextHash })
    return { node, credential }
  }

  isDue(node: NodeRecord): boolean {
    return this.options.clock.now() - node.rotatedMs > rotateAfterMs
  }

  /** @throws HolonError not_found */
  async revoke(idOrName: string, actor: string): Promise<NodeRecord> {
    const node = await this.find(idOrName)
    const nowMs = this.options.clock.now()
    const nodes = await this.nodes()
    const revoked = { ...node, revokedMs: nowMs }
    // First of all here: the books may be slow, and its tunnel must end at once.
    nodes.set(node.id, revoked)
    this.options.onRevoked(revoked, `node ${node.name} was revoked`)
    try {
      await this.ledger.revoke(node.id, actor, nowMs)
    } catch (error) {
      // Not in the books is not revoked: it would be back after the next start.
      nodes.set(node.id, node)
      throw error
    }
    return revoked
  }

  audit(limit: number) {
    return this.ledger.audits(limit)
  }

  refused(name: string, actor: string, detail: string): Promise<void> {
    return this.ledger.audit({ action: 'node.refused', node: name, actor, detail }, this.options.clock.now())
  }

  private async find(idOrName: string): Promise<NodeRecord> {
    const all = [...(await this.nodes()).values()].filter((node) => node.revokedMs === null)
    const node = all.find(({ id }) => id === idOrName) ?? all.find(({ name }) => name === idOrName)
    if (node) return node
    throw new HolonError('not_found', `There is no node "${idOrName.slice(0, 100)}" to do that to.`, {
      hint: '`holon nodes` lists them.',
    })
  }

  private async draft(wanted: string, by: string): Promise<{ record: NodeRecord; admitted: Admitted }> {
    const nodes = await this.nodes()
    if (nodes.size >= maxNodes) throw new HolonError('overloaded', 'This hub knows too many nodes.')
    const taken = new Set([...nodes.values()].filter((node) => node.revokedMs === null).map((n) => n.name))
    const name = freeName(cleanName(wanted), taken)
    const credential = newSecret('hnode')
    const nowMs = this.options.clock.now()
    const record: NodeRecord = {
      id: newId('node', 16),
      name,
      credentialHash: hashOf(credential),
      nextHash: null,
      rotatedMs: nowMs,
      admittedBy: by,
      admittedMs: nowMs,
      revokedMs: null,
    }
    return { record, admitted: { nodeId: record.id, name, credential } }
  }

  private async welcome(record: NodeRecord, admitted: Admitted): Promise<Admitted> {
    ;(await this.nodes()).set(record.id, record)
    this.options.log.info({ node: record.id, name: record.name, by: record.admittedBy }, 'Node admitted.')
    return admitted
  }

  private nodes(): Promise<Map<string, NodeRecord>> {
    this.known ??= this.ledger
      .nodes()
      .then((records) => new Map(records.map((record) => [record.id, record])))
      .catch((error: unknown) => {
        this.known = null
        throw error
      })
    return this.known
  }
}

function hasHash(node: NodeRecord | undefined, hash: string): node is NodeRecord {
  return node !== undefined && (sameHash(hash, node.nextHash) || sameHash(hash, node.credentialHash))
}

/** A name as it may stand in headers, tables and pages. */
export function cleanName(wanted: string): string {
  const clean = wanted
    .replaceAll(/[^\x20-\x7e]/g, '')
    .trim()
    .slice(0, 60)
  return clean === '' ? 'node' : clean
}

function freeName(name: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name)) return name
  for (let number = 2; ; number++) if (!taken.has(`${name}-${number}`)) return `${name}-${number}`
}
