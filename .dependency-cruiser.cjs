/**
 * The one way the arrows run (docs/architecture.md). A room may import itself and the rooms to its right:
 * cli -> { hub, agent, bench } -> pool -> { engines, tunnel, profile } -> formats -> planner -> facts -> protocol -> core
 * test/checkers/boundaries.test.ts seeds violations and proves that these rules see them.
 */
const order = [
  ['cli'],
  ['hub', 'agent', 'bench'],
  ['pool'],
  ['engines', 'tunnel', 'profile'],
  ['formats'],
  ['planner'],
  ['facts'],
  ['protocol'],
  ['core'],
]

const arrows = order
  .flatMap((rooms, level) =>
    rooms.map((room) => {
      const leftOrBeside = order
        .slice(0, level + 1)
        .flat()
        .filter((other) => other !== room)
      return {
        name: `arrows-${room}`,
        severity: 'error',
        comment: `${room} may import only the rooms to its right`,
        from: { path: `^src/${room}/` },
        to: { path: `^src/(${leftOrBeside.join('|')})/` },
      }
    }),
  )
  .filter((rule) => !rule.to.path.includes('()'))

const only = (name, comment, allowedFrom, packages) => ({
  name,
  severity: 'error',
  comment,
  from: { path: '^src/', pathNot: allowedFrom },
  to: { path: packages },
})

const io = '^(node:)?(fs|fs/promises|net|http|http2|https|child_process|worker_threads|dgram|tls|os|dns)$'

module.exports = {
  forbidden: [
    ...arrows,
    { name: 'no-cycles', severity: 'error', from: { path: '^src/' }, to: { circular: true } },
    {
      name: 'pure-rooms',
      severity: 'error',
      comment: 'core, protocol, planner and the scheduler decide; they do no I/O',
      from: { path: '^src/(core|protocol|planner|hub/scheduler)/', pathNot: '\\.test\\.ts$' },
      to: { path: io },
    },
    only(
      'sql-in-store',
      'only hub/store knows SQL',
      '^src/hub/store/',
      'node_modules/(kysely|pg|@electric-sql/pglite)/',
    ),
    only(
      'native-in-embedded',
      'only engines/embedded knows a native binding',
      '^src/engines/embedded/',
      'node-llama-cpp',
    ),
    only(
      'terminal-in-printer',
      'only cli/printer draws on the terminal',
      '^src/cli/',
      'node_modules/(@clack/prompts|commander)/',
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '\\.svelte$' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.json'],
      conditionNames: ['import', 'types', 'node'],
    },
  },
}
