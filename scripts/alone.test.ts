import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { alone } from './lib/alone.mjs';
import { root } from './lib/run.mjs';
import { unless } from './lib/unless.mjs';

/** Claims the name, says so, and keeps it until it is killed. */
const KEEPER = `
import { alone } from ${JSON.stringify(path.join(root, 'scripts/lib/alone.mjs'))};
await alone(process.argv[1], () => new Promise(() => {
  process.stdout.write('claimed');
  setInterval(() => undefined, 1000);
}));`;

const elsewhere = process.platform === 'linux' ? undefined : 'such claims are of Linux';

unless(elsewhere, it)('waits for another process that is at it, and no longer than that lives', async () => {
  const name = `alone.test ${process.pid}`;
  const keeper = spawn(process.execPath, ['--input-type=module', '-e', KEEPER, name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said = text(keeper.stdout);
  await once(keeper.stdout, 'readable');
  const order: string[] = [];
  const waits = () => {
    order.push('waits');
    keeper.kill('SIGKILL');
  };
  await alone(name, async () => void order.push('acts'), waits);
  expect(order).toEqual(['waits', 'acts']);
  expect(await said).toBe('claimed');
  expect(await alone(name, async () => 'again')).toBe('again');
});
