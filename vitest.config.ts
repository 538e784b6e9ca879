import { defineConfig } from 'vitest/config'

/** Unit tests stand beside their source; test/ holds what crosses rooms. `HOLON_TEST=all` adds what must be built. */
const all = process.env.HOLON_TEST === 'all'
export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'web/src/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: all ? [] : ['test/all/**'],
    testTimeout: 120_000,
    hookTimeout: 180_000,
    // What is waited for comes when the machine has time for it; the usual second failed on busy ones.
    expect: { poll: { timeout: 30_000 } },
    pool: 'forks',
    maxWorkers: 2,
  },
})
