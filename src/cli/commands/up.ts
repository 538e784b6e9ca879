import type { Command } from 'commander'
import { openBrowser } from '../open-browser.ts'
import type { Cli, Shell } from '../shell.ts'
import { startHolon } from '../start-holon.ts'
import { stopSignal } from '../stop-signal.ts'

interface UpOptions {
  port?: string
  host?: string
  model?: string
  engine?: string
  tlsCert?: string
  tlsKey?: string
  open: boolean
  json?: boolean
}

export function registerUp(program: Command, shell: Shell): void {
  program
    .command('up')
    .description('Serve this machine: the endpoint, the page, and the engines behind them.')
    .option('--port <n>', 'port to listen on (default 4656)')
    .option('--host <address>', 'address to listen on (default 127.0.0.1)')
    .option('--model <id>', 'model to load at start')
    .option('--engine <id>', 'engine to prefer (`holon engines` lists them)')
    .option('--tls-cert <file>', 'serve https with this certificate (PEM, its chain after it)')
    .option('--tls-key <file>', 'the private key of the certificate (PEM)')
    .option('--no-open', 'do not open the page in a browser')
    .option('--json', 'print one JSON document when ready')
    .action(
      shell.action(async (cli, options: UpOptions) => {
        const { port, host, model, engine, tlsCert: tls_cert, tlsKey: tls_key } = options
        return serve(cli, cli.config({ port, host, model, engine, tls_cert, tls_key }), options)
      }),
    )
}

/** Serves until a signal ends it. A second signal does not wait for answers under way. */
async function serve(cli: Cli, config: ReturnType<Cli['config']>, options: UpOptions): Promise<number> {
  const { printer } = cli
  const stopping = stopSignal()
  const holon = await startHolon(config, cli.env, printer, stopping.signal)
  try {
    if (printer.json) printer.document({ url: holon.url, pid: process.pid, version: holon.version })
    printer.line(`${printer.strong('Holon is up')} at ${printer.strong(holon.url)}`)
    printer.line(`  chat page        ${holon.url}/`)
    printer.line(`  OpenAI base URL  ${holon.url}/v1`)
    if (options.open && printer.interactive && !cli.env.CI) openBrowser(holon.url)
    await holon.warmUp()
    const advice = holon.advice()
    if (advice) printer.line(`\n${advice}\n`)
    printer.line(printer.faint('Ctrl-C stops it.'))
    const reason = await stopping.asked
    printer.note(`\n${reason}: stopping.`)
  } finally {
    await holon.close()
    stopping.dispose()
  }
  return 0
}
