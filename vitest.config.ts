import { defineConfig } from 'vitest/config'

/** Unit tests stand beside their source; test/ holds what crosses rooms. `HOLON_TEST=all` adds what must be built. */
const all = process.env.HOLON_TEST === 'all'
export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'web/src/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: all ? [] : ['test/all/**'],
    testTimeout: 120_000,
    hookTimeout: 180_000,
    // Vitest's second is too short on a machine that is busy with other things; who waits for a state goes on at once.
    expect: { poll: { timeout: 20_000 } },
    pool: 'forks',
    maxWorkers: 2,
  },
})
