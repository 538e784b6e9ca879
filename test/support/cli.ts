/** The command line as processes; the benches use the same. */
export * from '../../src/bench/lab/holon-process.ts'
