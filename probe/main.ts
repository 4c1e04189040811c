/**
 * `npm run probe [-- --json] [-- --only NAME,…] [-- --url URL]`: attacks on the walls of ships from inside a ship. Without
 * --url a Bay is started for it, with the driver that CONTAINER_DRIVER names; with it, ACCESS_TOKEN is the token of the
 * Bay that runs there. Exit code 1 where something was breached, or where a probe could not tell.
 */
import { networkInterfaces } from 'node:os';
import { parseArgs } from 'node:util';
import { startOwnBay } from '../scripts/lib/bay.mjs';
import type { Result } from './probe.js';
import { probes } from './probes/index.js';
import { line, summarize } from './report.js';
import { runProbes } from './run-probes.js';
import type { Target } from './scene.js';
import { newSecret } from './secrets.js';

const { values } = readArguments();
const chosen = choose(values.only);
const { target, stop } = values.url === undefined ? await ownBay() : runningBay(values.url);
const onResult = values.json ? undefined : (result: Result) => process.stdout.write(`${line(result)}\n`);
try {
  const results = await runProbes(target, chosen, onResult ? { onResult } : {});
  const { text, exitCode } = summarize(results);
  process.stdout.write(values.json ? `${JSON.stringify(results, undefined, 2)}\n` : `\n${text}\n`);
  process.exitCode = exitCode;
} finally {
  await stop();
}

function readArguments() {
  try {
    return parseArgs({ options: { json: { type: 'boolean' }, only: { type: 'string' }, url: { type: 'string' } } });
  } catch (error) {
    process.stderr.write(`${(error as Error).message}; there are --json, --only NAME,… and --url URL\n`);
    process.exit(2);
  }
}

function choose(only: string | undefined) {
  if (only === undefined) return probes;
  const names = only.split(',');
  const unknown = names.find((name) => !probes.some((probe) => probe.name === name));
  if (unknown !== undefined) {
    process.stderr.write(`no probe "${unknown}"; there are ${probes.map(({ name }) => name).join(', ')}\n`);
    process.exit(2);
  }
  return probes.filter(({ name }) => names.includes(name));
}

/** As a user would start it, but for its token and its folders; the log's limit is small enough to be reached. */
async function ownBay(): Promise<{ target: Target; stop: () => Promise<unknown> }> {
  const canary = newSecret('environment');
  const executionLogMaxBytes = 64 * 1024 * 1024;
  const driver = process.env.CONTAINER_DRIVER;
  const bay = await startOwnBay({
    HOST: '0.0.0.0',
    PROBE_CANARY: canary,
    EXECUTION_LOG_MAX_BYTES: `${executionLogMaxBytes}`,
    ...(driver ? { CONTAINER_DRIVER: driver } : {}),
  });
  const { url, token, port, grpcPort, folder } = bay;
  const own = { port, grpcPort, folder, canary, executionLogMaxBytes };
  return { target: { url, token, onThisMachine: true, own }, stop: () => bay.stop() };
}

function runningBay(url: string): { target: Target; stop: () => Promise<unknown> } {
  const token = process.env.ACCESS_TOKEN;
  if (!token) {
    process.stderr.write(`set ACCESS_TOKEN to the token of the Bay at ${url}\n`);
    process.exit(2);
  }
  const { hostname, origin } = new URL(url);
  const here = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
  const onThisMachine = ['localhost', ...here].includes(hostname.replace(/^\[|\]$/g, ''));
  return { target: { url: origin, token, onThisMachine }, stop: async () => undefined };
}
