/** How this machine gets its identity: the one it has, a token, or a person's approval. */
import { hostname } from 'node:os'
import { findHub } from '../agent/join/discover.ts'
import { enrolByDevice, enrolByToken } from '../agent/join/enrol.ts'
import { hubAddress } from '../agent/join/hub-address.ts'
import { type NodeIdentity, writeIdentity } from '../agent/join/identity.ts'
import { systemClock } from '../core/clock.ts'
import type { Home } from '../core/home.ts'
import type { DeviceCodeResponse } from '../protocol/joining.ts'
import { hubTrust } from './hub-trust.ts'
import type { Cli } from './shell.ts'

export interface EnrolWish {
  cli: Cli
  home: Home
  /** As typed; null finds the hub that this machine knows, or the one on the local network. */
  hub: string | null
  known: NodeIdentity | null
  token: string | undefined
  name: string | undefined
  signal: AbortSignal
}

/** @throws HolonError usage, hub_not_found, hub_unreachable, join_token_invalid, join_token_used, join_denied, join_expired */
export async function enrol(wish: EnrolWish): Promise<NodeIdentity> {
  const { cli, home, known, token, signal } = wish
  const named = wish.hub === null ? null : hubAddress(wish.hub)
  if (known !== null && !token && (named === null || named === known.hub)) return known
  const hub = named ?? known?.hub ?? (await findOnNetwork(cli, signal))
  const name = wish.name ?? hostname()
  const { fetch: send } = hubTrust(cli.config().tlsCa)
  const admitted = token
    ? await enrolByToken({ hub, token, name, signal, fetch: send })
    : await enrolByDevice({
        hub,
        name,
        signal,
        fetch: send,
        clock: systemClock,
        onCode: (code) => showCode(cli, code),
      })
  const identity = { hub, nodeId: admitted.nodeId, name: admitted.name, credential: admitted.credential }
  writeIdentity(home, identity)
  return identity
}

async function findOnNetwork({ printer }: Cli, signal: AbortSignal): Promise<string> {
  printer.note('Looking for a hub on the local network …')
  const found = await findHub({ signal })
  printer.note(`Found ${found.name} at ${found.url}.`)
  return found.url
}

/** On stderr, so that `--json` stays one document. */
function showCode({ printer }: Cli, code: DeviceCodeResponse): void {
  const minutes = Math.round(code.expires_in / 60)
  printer.note(
    `\nTo let this machine in, open\n\n  ${code.verification_uri_complete ?? code.verification_uri}\n`,
  )
  printer.note(
    `and check that it shows the code ${printer.strong(code.user_code)} (good for ${minutes} min).`,
  )
  printer.note('Waiting for approval …')
}
