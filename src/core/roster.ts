/**
 * Who is here now, with entering and leaving that leave no garbage. A Map or Set is rebuilt every few dozen requests,
 * and V8 links each discarded table to the next: once one of them is old, it keeps all later ones and every request
 * in them alive until a full collection. That cost more than all other work of the hub per request.
 */
export interface Seat<T> {
  readonly who: T
  /** Index in the roster; -1 once left. For the roster only. */
  at: number
}

export class Roster<T> {
  private readonly seats: Seat<T>[] = []

  get size(): number {
    return this.seats.length
  }

  enter(who: T): Seat<T> {
    const seat = { who, at: this.seats.length }
    this.seats.push(seat)
    return seat
  }

  /** Does nothing the second time. */
  leave(seat: Seat<T>): void {
    if (seat.at < 0) return
    const last = this.seats.pop()!
    if (last !== seat) {
      this.seats[seat.at] = last
      last.at = seat.at
    }
    seat.at = -1
  }

  /** A copy, in no order: whoever is told something may leave, or make others leave. */
  seated(): Seat<T>[] {
    return [...this.seats]
  }

  clear(): void {
    for (const seat of this.seats) seat.at = -1
    this.seats.length = 0
  }
}
