import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Roster, type Seat } from './roster.ts'

const names = <T>(roster: Roster<T>): T[] => roster.seated().map((seat) => seat.who)

test('whoever left is gone and everybody else is still there, in any order of coming and going', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20), { maxLength: 200 }), (moves) => {
      const roster = new Roster<number>()
      const seats = new Map<number, Seat<number>>()
      for (const who of moves) {
        const seat = seats.get(who)
        if (seat) {
          roster.leave(seat)
          roster.leave(seat)
          seats.delete(who)
        } else seats.set(who, roster.enter(who))
        expect(roster.size).toBe(seats.size)
      }
      expect(names(roster).sort()).toEqual([...seats.keys()].sort())
    }),
  )
})

test('a seat from before everybody was sent away removes nobody who came after', () => {
  const roster = new Roster<string>()
  const old = roster.enter('old')
  roster.clear()
  expect(roster.size).toBe(0)
  roster.enter('new')
  roster.leave(old)
  expect(names(roster)).toEqual(['new'])
})
