/** Where a stream reports the milliseconds between its events. */
export interface StreamGaps {
  observe(ms: number): void
}
