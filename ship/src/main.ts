/**
 * The agent's process: `agent <configuration file>`, or `agent -` to read it from standard input. One ship, one incarnation; it lives as long as the ship and takes
 * everything along that runs in it.
 */
import { startAgent } from './agent.js';
import { createAgentLog } from './agent-log.js';
import type { Log } from './part-deps.js';
import { readConfig } from './read-config.js';

/** As sysexits.h names them. */
const EXIT_SOFTWARE = 70;
const EXIT_CONFIG = 78;

/** Set by the build. */
declare const SHIPYARD_VERSION: string | undefined;
const version = typeof SHIPYARD_VERSION === 'string' ? SHIPYARD_VERSION : 'development';

async function main(file: string | undefined): Promise<void> {
  process.umask(0o077);
  const config = await readConfig(file).catch(refuse);
  const log = createAgentLog({ level: config.logLevel, fields: { shipId: config.shipId }, file: config.logFile });
  dieLoudly(log);
  const agent = await startAgent(
    config,
    {
      runners: async (deps) => (await import('./workspace/open-session-runners.js')).openSessionRunners(deps),
      python: async (deps) => (await import('./python/open-python.js')).openPython(deps),
      shell: async (deps) => (await import('./shell/open-shell.js')).openShell(deps),
      files: async (deps) => (await import('./files/open-files.js')).openFiles(deps),
    },
    { log, version },
  );
  const onSignal = (signal: NodeJS.Signals): void => {
    log.info({ signal }, 'stopping');
    void agent.stop();
  };
  process.once('SIGTERM', onSignal).once('SIGINT', onSignal);
  await agent.ended;
  process.exit(0); // whatever a native still holds open
}

function refuse(error: unknown): never {
  process.stderr.write(`cannot start: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(EXIT_CONFIG);
}

/** A defect leaves the agent in a state that nobody knows: it says so and ends, and its successor seals what it left. */
function dieLoudly(log: Log): void {
  const die = (error: unknown): void => {
    log.error({ err: error }, 'defect: the agent ends');
    process.exit(EXIT_SOFTWARE);
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
}

main(process.argv[2]).catch((error: unknown) => {
  process.stderr.write(`cannot start: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(EXIT_SOFTWARE);
});
