/**
 * Where a header's bytes come from: a file, memory, or a server that answers byte ranges. A format parser reads
 * through this one interface, so that a model can be described before it is downloaded with the very code that
 * describes it on disk.
 */
export interface ByteSource {
  /** What to call it in an error: a path or a URL, never with a secret in it. */
  readonly name: string
  /** Total bytes, or null when the source cannot tell. May become known only after the first read. */
  readonly size: number | null
  /** Bytes worth asking for at once: small for a disk, large where every read is a round trip. */
  readonly chunkBytes: number
  /** Up to `length` bytes from `offset`; fewer only at the end of the source. */
  read(offset: number, length: number): Promise<Uint8Array>
  close(): Promise<void>
}
