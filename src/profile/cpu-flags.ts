/**
 * The instruction sets that decide whether and how fast an engine runs, under one name each on every system.
 * A system's full list has 150 names, of which engines ask for these.
 */

/** Our name → what Linux, macOS and Windows call it. */
const names: readonly (readonly [string, readonly string[]])[] = [
  ['sse4_2', ['sse4_2', 'sse4.2']],
  ['avx', ['avx', 'avx1.0']],
  ['f16c', ['f16c']],
  ['fma', ['fma']],
  ['avx2', ['avx2']],
  ['avx_vnni', ['avx_vnni']],
  ['avx512', ['avx512f']],
  ['avx512_vnni', ['avx512_vnni', 'avx512vnni']],
  ['avx512_bf16', ['avx512_bf16']],
  ['amx', ['amx_tile']],
  ['neon', ['neon', 'asimd', 'advsimd']],
  ['fp16', ['asimdhp', 'feat_fp16']],
  ['dotprod', ['asimddp', 'feat_dotprod']],
  ['i8mm', ['i8mm', 'feat_i8mm']],
  ['bf16', ['bf16', 'feat_bf16']],
  ['sve', ['sve']],
  ['sve2', ['sve2']],
  ['sme', ['sme', 'feat_sme']],
]

/** The flags that matter, in a fixed order, out of whatever names a system gives. */
export function relevantFlags(given: Iterable<string>): string[] {
  const present = new Set([...given].map((name) => name.toLowerCase()))
  return names.filter(([, aliases]) => aliases.some((alias) => present.has(alias))).map(([name]) => name)
}
