/** Taking everything: Bay and another ship go on meanwhile, and the ship itself afterwards. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { attack, attackCommand, type Attacked } from '../attack.js';
import { breached, held, notApplicable, type Finding, type Probe } from '../probe.js';
import type { Scene } from '../scene.js';
import { newSecret } from '../secrets.js';

const MiB = 1024 * 1024;
/** Bounds of what counts as going on, generous for a machine that has other work. */
const BAY_ANSWERS_MS = 5000;
const CELL_ANSWERS_MS = 20_000;

interface Witnessed {
  readonly attacked: Attacked | undefined;
  /** Slowest answers meanwhile. */
  readonly bayMs: number;
  readonly cellMs: number;
  /** What did not answer at all. */
  readonly failures: readonly string[];
}

/** Runs an attack while Bay is asked, and another ship calculates, without a pause. */
async function witness(scene: Scene, args: object, timeoutMs: number): Promise<Witnessed> {
  const over = new AbortController();
  const bay = repeat(over.signal, () => scene.bay.call('GET', '/health', { timeoutMs: BAY_ANSWERS_MS * 2 }));
  const cell = repeat(over.signal, async () => {
    const said = await scene.victim.cell('print(6 * 7)', { timeoutMs: CELL_ANSWERS_MS });
    if (!said.includes('42')) throw new Error(`a wrong answer: ${said}`);
  });
  // The attack may well cost its own process, and with it the answer to the call.
  const attacked = await attack(scene.attacker, 'exhaust', args, { timeoutMs }).catch(() => undefined);
  over.abort();
  const [ofBay, ofCell] = await Promise.all([bay, cell]);
  return {
    attacked,
    bayMs: ofBay.slowestMs,
    cellMs: ofCell.slowestMs,
    failures: [
      ...ofBay.failures.map((text) => `Bay: ${text}`),
      ...ofCell.failures.map((text) => `other ship: ${text}`),
    ],
  };
}

async function repeat(signal: AbortSignal, act: () => Promise<unknown>) {
  let slowestMs = 0;
  const failures: string[] = [];
  do {
    const began = performance.now();
    await act().catch((error: unknown) => failures.push(error instanceof Error ? error.message : String(error)));
    slowestMs = Math.max(slowestMs, performance.now() - began);
  } while (!signal.aborted && failures.length < 5);
  return { slowestMs, failures };
}

interface Exhaustion {
  readonly name: string;
  readonly attempts: string;
  readonly args: { readonly thing: string; readonly seconds: number; readonly limit: number; readonly path?: string };
  /** The limit without which it is not attempted, since it would take the machine. */
  readonly needs?: 'pids' | 'memory';
  /** A further judgement of what happened. */
  readonly judge?: (scene: Scene, witnessed: Witnessed) => Promise<Finding | undefined>;
}

function exhaustion({ name, attempts, args, needs, judge }: Exhaustion): Probe {
  return {
    name,
    attempts,
    async run(scene) {
      const limits = scene.ships.attacked.isolation?.limits ?? [];
      if (needs && !limits.includes(needs))
        return notApplicable(`no ${needs} limit is in force here, as the ship says`);
      const witnessed = await witness(scene, args, (args.seconds + 30) * 1000);
      const { failures, bayMs, cellMs } = witnessed;
      if (failures.length > 0) return breached(failures.slice(0, 2).join('; '));
      if (bayMs > BAY_ANSWERS_MS) return breached(`Bay took ${Math.round(bayMs)} ms for an answer`);
      if (cellMs > CELL_ANSWERS_MS) return breached(`a cell of another ship took ${Math.round(cellMs)} ms`);
      const judged = await judge?.(scene, witnessed);
      if (judged) return judged;
      // As it is left, a full folder included.
      const again = await comesBack(scene);
      if (args.path) await scene.attacker.run({ command: { argv: ['rm', '-f', args.path] } });
      const said = `Bay answered within ${Math.round(bayMs)} ms, another ship within ${Math.round(cellMs)} ms`;
      return again ? held(`${said}; ${last(witnessed)}`) : breached('the attacked ship does not answer any more');
    },
  };
}

/** All sessions of the ship work again, the attacker's kernel maybe as a new one. */
async function comesBack({ attacker, neighbour }: Scene): Promise<boolean> {
  for (const session of neighbour ? [attacker, neighbour] : [attacker]) {
    let answered = false;
    for (let attempt = 0; attempt < 5 && !answered; attempt += 1) {
      const said = await session.cell('print(6 * 7)').catch(() => '');
      answered = said.includes('42');
    }
    if (!answered) return false;
  }
  return true;
}

function last({ attacked }: Witnessed): string {
  const one = attacked?.attempts.at(-1);
  return one ? `it ended with: ${one.attempt} ${one.failed ?? one.got}` : 'it was ended';
}

export const exhaustions: readonly Probe[] = [
  exhaustion({
    name: 'processors',
    attempts: 'keep all processors from others',
    args: { thing: 'processor', seconds: 5, limit: 0 },
  }),
  exhaustion({
    name: 'fork-bomb',
    attempts: 'fill the machine with processes',
    args: { thing: 'processes', seconds: 5, limit: 0 },
    needs: 'pids',
    async judge(_scene, { attacked }) {
      const refused = attacked?.attempts.some(({ failed }) => failed === 'EAGAIN' || failed === 'ENOMEM');
      if (!attacked || refused) return undefined;
      throw new Error('it was never refused a process, so that nothing was filled');
    },
  }),
  exhaustion({
    name: 'memory-bomb',
    attempts: "take the machine's memory",
    args: { thing: 'memory', seconds: 20, limit: 1536 * MiB },
    needs: 'memory',
    async judge(_scene, { attacked }) {
      const taken = attacked?.attempts.at(-1)?.got;
      return taken === 1536 * MiB ? breached('it got three times its limit') : undefined;
    },
  }),
  exhaustion({
    name: 'fill-tmp',
    attempts: "fill the machine's memory or disk by way of /tmp",
    args: { thing: 'file', path: '/tmp/filling', seconds: 20, limit: 1536 * MiB },
    needs: 'memory',
    async judge(_scene, { attacked }) {
      const written = attacked?.attempts.find(({ attempt }) => attempt === 'write')?.got;
      return written === 1536 * MiB ? breached("/tmp took three times the ship's memory") : undefined;
    },
  }),
  exhaustion({
    name: 'fill-workspace',
    attempts: 'stop others by writing to its workspace (384 MiB of it)',
    args: { thing: 'file', path: 'filling', seconds: 20, limit: 384 * MiB },
  }),
  exhaustion({
    name: 'descriptors',
    attempts: "use up the machine's open files",
    args: { thing: 'descriptors', seconds: 5, limit: 20_000 },
  }),
  exhaustion({
    name: 'output-flood',
    attempts: 'stop others by output without end (256 MiB of it)',
    args: { thing: 'output', seconds: 30, limit: 256 * MiB },
  }),
  {
    name: 'output-log-bound',
    attempts: 'fill the disk by output beyond EXECUTION_LOG_MAX_BYTES',
    async run({ attacker, bay, target }) {
      const limit = target.own?.executionLogMaxBytes;
      if (limit === undefined) return notApplicable('only a Bay of our own has a limit small enough to try');
      const executionId = newSecret('flood');
      const argv = attackCommand('exhaust', { thing: 'output', seconds: 30, limit: 4 * limit });
      const path = `/v1/ships/${attacker.shipId}/executions`;
      const body = { start: { executionId, command: { argv }, timeoutMs: 60_000 }, maxOutputBytes: 1 };
      await bay.call('POST', `${path}:run`, { session: attacker.id, body, timeoutMs: 90_000 });
      // A byte of output is a byte of its event, and a little more around it.
      const events = await bay.call('GET', `${path}/${executionId}/events?from_sequence=0`, { session: attacker.id });
      let size = 0;
      for await (const piece of events.body as unknown as AsyncIterable<Uint8Array>) size += piece.length;
      if (size > limit * 1.25) return breached(`${size} bytes are kept of at most ${limit}`);
      return size === 0 ? breached('nothing is kept at all') : held(`${size} bytes are kept of ${4 * limit}`);
    },
  },
  {
    name: 'terminal-escapes',
    attempts: "send control characters to the operator's terminal by way of logs",
    async run({ attacker, bay, target }) {
      const mark = newSecret('escape');
      const text = `\u001b]0;${mark}\u0007\u001b[2J\r\n{"level":60,"msg":"${mark}"}`;
      const ran = await attacker.run({
        command: { command: `printf %s ${quoted(text)}; printf %s ${quoted(text)} >&2` },
      });
      if (!ran.stdout.includes(text)) throw new Error('not even the output carries them');
      // Wherever a text of the caller or of the session could get into a log.
      for (const act of [
        () => attacker.files('GET', ':text', { path: text }),
        () => attacker.files('POST', ':write', {}, { path: text.replaceAll('/', ''), content: text }),
        () => bay.call('GET', `/v1/ships/${encodeURIComponent(text)}`),
        () => attacker.run({ command: { argv: [text] } }),
        () =>
          attacker.run({
            cell: { code: `import os; os.write(1, ${JSON.stringify(text)}.encode()); os.write(2, b'x')` },
          }),
        () => bay.in(attacker.shipId, text).run({ command: { command: 'true' } }),
      ])
        await (act() as Promise<unknown>).catch(() => undefined);
      const logs =
        (await bay.shipLogs(attacker.shipId)) +
        (target.own ? readFileSync(path.join(target.own.folder, 'bay.log'), 'utf8') : '');
      const raw =
        logs.includes('\u001b') || logs.split('\n').some((line) => line.startsWith('{"level":60,"msg":"probe'));
      return raw
        ? breached('a log holds them as they are')
        : held(`${logs.length} characters of logs, no control character among them`);
    },
  },
  {
    name: 'outlive-the-ship',
    attempts: 'go on running after its ship was deleted',
    async run({ bay, host }) {
      if (!host) return notApplicable('the ships run on another machine');
      const name = newSecret('session-living');
      const mark = newSecret('daemon');
      const { shipId } = await bay.createShip(name);
      const daemon = `import os, sys, time, signal\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\nfor n in range(1, 65):\n  try: signal.signal(n, signal.SIG_IGN)\n  except (OSError, ValueError): pass\nfor n in range(3): os.close(n)\ntime.sleep(600)`;
      await bay.in(shipId, name).run({ command: { argv: ['python3', '-c', daemon, mark] } });
      const before = processesWith(mark).length;
      await bay.deleteShip(shipId);
      if (before === 0) return notApplicable("this user does not see the ship's processes");
      const end = performance.now() + 10_000;
      while (processesWith(mark).length > 0 && performance.now() < end)
        await new Promise((done) => setTimeout(done, 50));
      return processesWith(mark).length > 0 ? breached('its daemon runs on') : held('its daemon ended with the ship');
    },
  },
];

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

function processesWith(text: string): number[] {
  if (!existsSync('/proc')) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
      } catch {
        return false; // ended in between
      }
    });
}
