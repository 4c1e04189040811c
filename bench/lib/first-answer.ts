import { median, type Row } from './stats.js';
import type { System } from './system.js';
import { within } from './within.js';

/** The first thing asked of a new ship, and what a right answer holds. */
const ASK = {
  python: { type: 'ipython/exec', payload: { code: '1+1' }, answer: '"text":"2"' },
  shell: { type: 'shell/exec', payload: { command: 'echo 2' }, answer: '"stdout":"2"' },
};

/** A ship that has answered once; the caller deletes it. */
export interface AnsweredShip {
  /** Milliseconds from `POST /ship` to the answer. */
  readonly ms: number;
  delete(): Promise<void>;
}

export async function createToAnswer(
  system: System,
  session: string,
  what: keyof typeof ASK = 'python',
): Promise<AnsweredShip> {
  const { answer: expected, ...ask } = ASK[what];
  const started = performance.now();
  const { id } = JSON.parse(await call(system, 'POST', '/ship', session, { ttl: 600 })) as { id: string };
  const answer = await call(system, 'POST', `/ship/${id}/exec`, session, ask);
  const ms = performance.now() - started;
  if (!answer.includes(expected)) throw new Error(`the first answer of a ship is ${answer.slice(0, 500)}`);
  return { ms, delete: async () => void (await call(system, 'DELETE', `/ship/${id}`, session)) };
}

/** Milliseconds of a create until the first answer, of a new ship each time. */
export function timedCreates(system: System, what: keyof typeof ASK = 'python'): () => Promise<number> {
  let created = 0;
  return async () => {
    const ship = await createToAnswer(system, `${what}-${++created}`, what);
    await ship.delete();
    return ship.ms;
  };
}

/** So many creates at once, until the last of them has answered. */
export async function manyAtOnce(system: System, engine: string, count: number, goal: string): Promise<Row> {
  const sessions = Array.from({ length: count }, (_, i) => `at-once-${i}`);
  const ships = await Promise.all(sessions.map((session) => createToAnswer(system, session)));
  const times = ships.map(({ ms }) => ms);
  await Promise.all(ships.map((ship) => ship.delete()));
  return {
    name: `${engine}: ${count} creates at once, the last first answer`,
    value: Math.max(...times),
    unit: 'ms',
    goal,
    detail: `the first after ${Math.min(...times).toFixed(0)} ms, half of them after ${median(times).toFixed(0)} ms`,
  };
}

async function call(system: System, method: string, route: string, session: string, body?: object): Promise<string> {
  const headers = {
    authorization: `Bearer ${system.bay.token}`,
    'x-session-id': session,
    'content-type': 'application/json',
  };
  const answer = fetch(system.bay.url + route, { method, headers, body: body ? JSON.stringify(body) : null });
  const response = await within(`${method} ${route}`, answer);
  const text = await within(`the answer to ${method} ${route}`, response.text());
  if (!response.ok) throw new Error(`${method} ${route}: ${response.status} ${text}`);
  return text;
}
