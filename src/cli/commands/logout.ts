import type { Command } from 'commander'
import { readIdentity, removeIdentity } from '../../agent/join/identity.ts'
import { leaveFleet } from '../../agent/join/leave.ts'
import { asHolonError, HolonError } from '../../core/errors.ts'
import { readLock } from '../home-lock.ts'
import { hubTrust } from '../hub-trust.ts'
import type { Shell } from '../shell.ts'

export function registerLogout(program: Command, shell: Shell): void {
  program
    .command('logout')
    .description('Leave the fleet: forget the credential of this machine here and at the hub.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, config }) => {
        const settings = config()
        const { home } = settings
        const identity = readIdentity(home)
        if (identity === null)
          throw new HolonError('usage', 'This machine has joined no fleet.', { hint: '' })
        const running = readLock(home)
        if (running) {
          throw new HolonError(
            'already_running',
            `Holon is running on ${home.root} (process ${running.pid}).`,
          )
        }
        let atHub = true
        try {
          await leaveFleet(identity, hubTrust(settings.tlsCa).fetch)
        } catch (thrown) {
          atHub = false
          printer.warn(
            `${asHolonError(thrown).message} The hub still knows this machine: holon nodes revoke ${identity.name}`,
          )
        }
        removeIdentity(home)
        if (printer.json) printer.document({ hub: identity.hub, name: identity.name, forgottenByHub: atHub })
        else printer.line(`This machine has left ${identity.hub}.`)
        return 0
      }),
    )
}
