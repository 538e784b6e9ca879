import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { resolveConfig } from './config.ts'

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'holon-config-'))
  mkdirSync(root, { recursive: true })
})

test('defaults hold when nothing is set', () => {
  const config = resolveConfig({ HOLON_HOME: root })
  expect(config).toMatchObject({ host: '127.0.0.1', port: 4656, hub: null, memoryBudgetBytes: null })
})

test('a flag beats the environment, which beats the file', () => {
  writeFileSync(join(root, 'holon.toml'), 'port = 1000\nhost = "127.0.0.2"\n')
  expect(resolveConfig({ HOLON_HOME: root })).toMatchObject({ port: 1000, host: '127.0.0.2' })
  expect(resolveConfig({ HOLON_HOME: root, HOLON_PORT: '2000' }).port).toBe(2000)
  expect(resolveConfig({ HOLON_HOME: root, HOLON_PORT: '2000' }, { port: '3000' }).port).toBe(3000)
})

test('a bad value is refused with the name of the setting', () => {
  expect(() => resolveConfig({ HOLON_HOME: root, HOLON_PORT: 'many' })).toThrow(/HOLON_PORT is "many"/)
  expect(() => resolveConfig({ HOLON_HOME: root }, { port: '70000' })).toThrow(/--port is "70000"/)
})

test('an unknown setting in the file is refused, so that a typing error does not pass for a setting', () => {
  writeFileSync(join(root, 'holon.toml'), 'prot = 1000\n')
  expect(() => resolveConfig({ HOLON_HOME: root })).toThrow(/unknown settings: prot/)
})

test('an empty variable counts as not set', () => {
  expect(resolveConfig({ HOLON_HOME: root, HOLON_PORT: '' }).port).toBe(4656)
})
