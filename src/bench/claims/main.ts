import { constants } from '../../planner/index.ts'
import type { Claim } from './claim.ts'
import { poolingPage } from './pooling.ts'
import { poolClaims, ruleClaims } from './pools-and-rules.ts'
import { memoryClaims, speedClaims } from './speed-and-memory.ts'

/** `npm run docs:claims`: what the first documents asserted, and the planner's verdict on each. */

const allClaims = (): Claim[] => [...speedClaims(), ...memoryClaims(), ...poolClaims(), ...ruleClaims()]

function section(title: string, claims: readonly Claim[]): string {
  const body = claims.map(
    (claim) =>
      `### ${claim.number}. ${claim.verdict}${claim.byRule ? '' : ' (our judgement of the figures)'}\n\n> ${claim.claim}\n\n${claim.right[0]?.toUpperCase()}${claim.right.slice(1)}.\n\nBasis: ${claim.basis}.\n`,
  )
  return `## ${title}\n\n${body.join('\n')}`
}

function claimsPage(): string {
  const count = (verdict: Claim['verdict']) => allClaims().filter((claim) => claim.verdict === verdict).length
  return [
    '# The founding claims, judged',
    '',
    `Made by \`npm run docs:claims\` from the planner (${constants.provenance.rows} measurements of ${constants.provenance.sources} sources). Ranges hold ${constants.intervals.share * 100} % of measurements the planner had not seen. Do not edit.`,
    '',
    `${count('holds')} hold, ${count('holds in part')} hold in part, ${count('wrong')} are wrong, ${count('not decidable here')} cannot be decided here. A verdict follows from the figures by a rule (the claimed span holds the expected value, meets the range, or misses it) unless it is marked as our judgement.`,
    '',
    section('Speed on one machine', speedClaims()),
    section('Memory', memoryClaims()),
    section('Pools and links', poolClaims()),
    section('Rules and cost', ruleClaims()),
  ].join('\n')
}

/** Every page that `npm run docs:claims` writes, by its path. */
export const claimsPages = (): Record<string, string> => ({
  'docs/claims.md': claimsPage(),
  'docs/concepts/pooling.md': poolingPage(),
})
