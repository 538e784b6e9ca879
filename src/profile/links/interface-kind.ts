import type { NetworkInterface } from '../../protocol/pool.ts'

/** What one system's file finds out about an interface. */
export type InterfaceKind = Pick<NetworkInterface, 'kind' | 'lineBitS'>
