import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { interleave, median, type Row } from '../lib/stats.js';
import type { System } from '../lib/system.js';

const root = path.resolve(import.meta.dirname, '../..');

/** `POST /ship` to the first Python answer, against bubblewrap and a bare kernel launcher to its first reply. */
export async function createToFirstAnswer(system: System, python: string, rounds: number): Promise<Row> {
  let created = 0;
  const ours = async () => {
    const started = performance.now();
    const session = `create-${++created}`;
    const { id } = await call<{ id: string }>(system, 'POST', '/ship', session, { ttl: 600 });
    const { data } = await call<{ data: { output: { text: string } } }>(system, 'POST', `/ship/${id}/exec`, session, {
      type: 'ipython/exec',
      payload: { code: '1+1' },
    });
    const elapsed = performance.now() - started;
    if (data.output.text !== '2') throw new Error(`1+1 is ${data.output.text}`);
    await call(system, 'DELETE', `/ship/${id}`, session);
    return elapsed;
  };
  await ours();
  const result = await interleave(rounds, ours, () => bareKernel(python));
  return {
    name: 'create to first Python answer / bwrap + bare ipykernel',
    value: median(result.ratios),
    unit: 'x',
    goal: '≤ 1.25',
    detail: `${median(result.ours).toFixed(0)} ms against ${median(result.reference).toFixed(0)} ms`,
  };
}

async function call<T>(system: System, method: string, route: string, session: string, body?: object): Promise<T> {
  const headers = {
    authorization: `Bearer ${system.bay.token}`,
    'x-session-id': session,
    'content-type': 'application/json',
  };
  const response = await fetch(system.bay.url + route, { method, headers, body: body ? JSON.stringify(body) : null });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${route}: ${response.status} ${text}`);
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

/** One kernel in a bubblewrap of its own, from the spawn to its first reply and idle; the client is ready before. */
async function bareKernel(python: string): Promise<number> {
  const folder = mkdtempSync(path.join(tmpdir(), 'shipyard-bench-'));
  const client = spawn(python, [path.join(root, 'bench/reference/first_reply.py'), folder], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const line = () =>
    new Promise<string>((resolve) => client.stdout.once('data', (data: Buffer) => resolve(data.toString())));
  await line();
  const started = performance.now();
  const answered = line();
  const sandbox = [
    '--dev-bind',
    '/',
    '/',
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    '--unshare-all',
    '--die-with-parent',
    '--bind',
    folder,
    folder,
  ];
  const kernel = spawn(
    'bwrap',
    [...sandbox, python, '-m', 'ipykernel_launcher', '-f', path.join(folder, 'connection.json')],
    { stdio: ['ignore', 'ignore', 'ignore'] },
  );
  await answered;
  const elapsed = performance.now() - started;
  kernel.kill('SIGKILL');
  client.stdin.end();
  await new Promise((resolve) => client.once('exit', resolve));
  rmSync(folder, { recursive: true, force: true });
  return elapsed;
}
