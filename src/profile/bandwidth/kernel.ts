/**
 * The inner loops of the measurements of memory and clock, as a WebAssembly module of some 600 bytes written out by hand. What a loop
 * over a typed array reaches depends on its element type and on the compiler's mood (an int32 loop got a third of this and
 * less); here each load is written down. The module is assembled instruction by instruction beside its text form, so
 * that nothing is opaque.
 */

/** What the measurement needs of WebAssembly; Node has it, the type library of a program without a browser has not. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer
}
export type CompiledKernel = object & { readonly __kernel?: never }
export interface Kernel {
  /** Reads every byte of [at, end) and returns their exclusive or by 8-byte words. `end - at` must be a multiple of 128. */
  read(at: number, end: number): bigint
  /** Copies as the system's own memmove does. */
  copy(to: number, from: number, bytes: number): void
  /** Calculates for `turns` times `SPIN_CYCLES` cycles of the core. @returns what came out of it */
  spin(turns: number): number
}
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => CompiledKernel
  Memory: new (limits: { initial: number; maximum: number; shared: true }) => SharedMemory
  Instance: new (
    module: CompiledKernel,
    imports: { env: { memory: SharedMemory } },
  ) => { readonly exports: unknown }
}

export const PAGE_BYTES = 65_536
/** What `read` takes in one turn of its loop. */
export const READ_STEP_BYTES = 128
/** Cycles of one turn of `spin`: so many operations, of which each needs the result of the one before it. */
export const SPIN_CYCLES = 128

const I32 = 0x7f
const I64 = 0x7e
const V128 = 0x7b

const localGet = (index: number) => [0x20, index]
const localSet = (index: number) => [0x21, index]
const i32Const = (value: number) => [0x41, ...signedLeb(value)]
const simd = (opcode: number, ...rest: number[]) => [0xfd, ...leb(opcode), ...rest]
const v128Load = (offset: number) => simd(0x00, 4, ...leb(offset))
const v128Xor = simd(0x51)
const i64x2Lane = (lane: number) => simd(0x1d, lane)

/** The module's bytes. */
export function kernelBytes(): Uint8Array<ArrayBuffer> {
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    // (type $read (func (param i32 i32) (result i64)))  (type $copy (func (param i32 i32 i32)))
    // (type $spin (func (param i32) (result i32)))
    ...section(
      1,
      vector(
        [0x60, ...vector([I32], [I32]), ...vector([I64])],
        [0x60, 3, I32, I32, I32, 0],
        [0x60, ...vector([I32]), ...vector([I32])],
      ),
    ),
    // (import "env" "memory" (memory 1 65536 shared))
    ...section(2, vector([...text('env'), ...text('memory'), 0x02, 0x03, ...leb(1), ...leb(65_536)])),
    ...section(3, vector([0], [1], [2])),
    ...section(7, vector([...text('read'), 0x00, 0], [...text('copy'), 0x00, 1], [...text('spin'), 0x00, 2])),
    ...section(10, vector(body(readCode(), [4, V128]), body(copyCode()), body(spinCode(), [1, I32]))),
  ])
}

/**
 * (func $read (param $at i32) (param $end i32) (result i64) (local $a v128) (local $b v128) (local $c v128) (local $d v128)
 *   (loop $more
 *     (local.set $a (v128.xor (local.get $a) (v128.load offset=0 (local.get $at))))   ;; eight loads, 0 … 112,
 *     …                                                                               ;; four running sums
 *     (local.set $at (i32.add (local.get $at) (i32.const 128)))
 *     (br_if $more (i32.lt_u (local.get $at) (local.get $end))))
 *   (both lanes of a ^ b ^ c ^ d, exclusive-or'ed))
 * Four sums, so that no load waits for the one before it; the result is returned, so that nothing can be left out.
 */
function readCode(): number[] {
  const at = 0
  const end = 1
  const sums = [2, 3, 4, 5]
  const loads = Array.from({ length: READ_STEP_BYTES / 16 }, (_, index) => {
    const sum = sums[index % sums.length] as number
    return [...localGet(sum), ...localGet(at), ...v128Load(index * 16), ...v128Xor, ...localSet(sum)]
  }).flat()
  const all = [
    ...localGet(2),
    ...sums.slice(1).flatMap((sum) => [...localGet(sum), ...v128Xor]),
    ...localSet(2),
  ]
  return [
    ...[0x03, 0x40],
    ...loads,
    ...[...localGet(at), ...i32Const(READ_STEP_BYTES), 0x6a, ...localSet(at)],
    ...[...localGet(at), ...localGet(end), 0x49, 0x0d, 0, 0x0b],
    ...all,
    ...[...localGet(2), ...i64x2Lane(0), ...localGet(2), ...i64x2Lane(1), 0x85],
  ]
}

/** (func $copy (param $to i32) (param $from i32) (param $bytes i32) (memory.copy (local.get $to) (local.get $from) (local.get $bytes))) */
function copyCode(): number[] {
  return [...localGet(0), ...localGet(1), ...localGet(2), 0xfc, ...leb(10), 0, 0]
}

/**
 * (func $spin (param $turns i32) (result i32) (local $x i32)
 *   (loop $more
 *     (local.set $x (i32.rotl (i32.xor (local.get $x) (local.get $turns)) (i32.const 5)))   ;; 64 times
 *     (local.set $turns (i32.sub (local.get $turns) (i32.const 1)))
 *     (br_if $more (local.get $turns)))
 *   (local.get $x))
 * Exclusive or and rotation take one cycle each on every core of the last twenty years, cannot be drawn together by a
 * compiler, and wait for one another; counting the turns goes on beside them.
 */
function spinCode(): number[] {
  const [turns, x] = [0, 1]
  const step = [...localGet(x), ...localGet(turns), 0x73, ...i32Const(5), 0x77, ...localSet(x)]
  return [
    ...[0x03, 0x40],
    ...Array.from({ length: SPIN_CYCLES / 2 }, () => step).flat(),
    ...[...localGet(turns), ...i32Const(1), 0x6b, ...localSet(turns)],
    ...[...localGet(turns), 0x0d, 0, 0x0b],
    ...localGet(x),
  ]
}

/** Unsigned LEB128, WebAssembly's variable-length integer. */
function leb(value: number): number[] {
  const low = value % 128
  return value < 128 ? [low] : [low + 128, ...leb(Math.floor(value / 128))]
}

/** Signed LEB128 of a number that is not negative: one more bit is kept for the sign. */
function signedLeb(value: number): number[] {
  const low = value % 128
  return value < 64 ? [low] : [low + 128, ...signedLeb(Math.floor(value / 128))]
}

function text(value: string): number[] {
  const bytes = [...new TextEncoder().encode(value)]
  return [...leb(bytes.length), ...bytes]
}

function vector(...items: number[][]): number[] {
  return [...leb(items.length), ...items.flat()]
}

function section(id: number, content: number[]): number[] {
  return [id, ...leb(content.length), ...content]
}

/** One function: its groups of locals as [count, type], its code, and the closing `end`. */
function body(code: number[], ...locals: number[][]): number[] {
  const content = [...vector(...locals), ...code, 0x0b]
  return [...leb(content.length), ...content]
}

export function compileKernel(): CompiledKernel {
  return new WebAssembly.Module(kernelBytes())
}

/** Shared memory of at least `bytes`, untouched: its pages become real when they are first written. At most 4 GiB. */
export function allocateShared(bytes: number): SharedMemory {
  const pages = Math.ceil(bytes / PAGE_BYTES)
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
}

export function openKernel(module: CompiledKernel, memory: SharedMemory): Kernel {
  const { read, copy, spin } = new WebAssembly.Instance(module, { env: { memory } }).exports as Kernel
  return {
    // WebAssembly takes addresses as signed 32-bit numbers; `| 0` maps those above 2 GiB to what it expects.
    read: (at, end) => read(at | 0, end | 0),
    copy: (to, from, bytes) => copy(to | 0, from | 0, bytes | 0),
    spin,
  }
}
