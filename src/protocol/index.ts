export * from './fleet.ts'
export * from './machine.ts'
export * from './model.ts'
export * from './node.ts'
