/** The sentence that tells of a lost peer, made and read in one place: whoever hears it must know whom it is about. */

/** @param why the end of a sentence: `nothing was heard from it for 2.0 s` */
export const lostSentence = (rank: number, why: string): string =>
  `The connection to member ${rank} was lost: ${why}.`

/** @param why a whole sentence */
export const unreachedSentence = (rank: number, why: string): string =>
  `The connection to member ${rank} could not be made: ${why}`

/** A peer's goodbye: a cause travels with it, or the others would only know that it went. */
export const goodbye = (cause?: string): string =>
  cause === undefined ? 'it ended its part' : `it ended its part: ${cause.replace(/\.$/, '')}`

/** Who was lost first, by one sentence of whoever ended for that; null when it tells of no peer. */
export function lostPeer(sentence: string): number | null {
  const [, rank] =
    [...sentence.matchAll(/connection to member (\d+) (?:was lost|could not be made)/g)].at(-1) ?? []
  return rank === undefined ? null : Number(rank)
}
