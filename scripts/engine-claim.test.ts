import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { claimEngine } from './lib/engine-claim.mjs';
import { root } from './lib/run.mjs';
import { unless } from './lib/unless.mjs';

const elsewhere = process.platform === 'linux' ? undefined : 'such claims are of Linux';

unless(elsewhere, describe)('claims on an engine of ours', () => {
  let folder: string;
  let engine: ChildProcess;
  let ended: Promise<unknown>;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'sy-'));
    engine = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)', folder], { stdio: 'ignore' });
    ended = once(engine, 'exit');
    writeFileSync(path.join(folder, 'pid'), `${engine.pid}`);
  });
  afterEach(async () => {
    engine.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  });

  const place = () => ({
    folder,
    claims: path.join(folder, 'claims'),
    pid: path.join(folder, 'pid'),
    pausePid: path.join(folder, 'pause.pid'),
  });
  const isAlive = () => engine.exitCode === null && engine.signalCode === null;
  /** The shells that hold the claims of this process. */
  const holders = (): number[] =>
    readdirSync('/proc/self/task')
      .flatMap((thread) => readFileSync(`/proc/self/task/${thread}/children`, 'utf8').trim().split(' '))
      .filter((pid) => pid !== '')
      .map(Number)
      .filter((pid) => pid !== engine.pid && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder));

  it('end it with the last one, and not before', async () => {
    const [first, second] = await Promise.all([claimEngine(place()), claimEngine(place())]);
    await first();
    expect(isAlive()).toBe(true);
    await second();
    await ended;
  });

  it('end it when all are given up at once', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => claimEngine(place())));
    await Promise.all(all.map((release) => release()));
    await ended;
  });

  it('end it when whoever has the last one is killed', async () => {
    const script = `
      import { claimEngine } from ${JSON.stringify(path.join(root, 'scripts/lib/engine-claim.mjs'))};
      await claimEngine(${JSON.stringify(place())});
      process.stdout.write('claimed');
      setInterval(() => undefined, 1000);`;
    const user = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(user.stdout, 'data');
    expect(isAlive()).toBe(true);
    user.kill('SIGKILL');
    await ended;
  });

  it('end it though a shell that held one was killed', async () => {
    const release = await claimEngine(place());
    for (const holder of holders()) process.kill(holder, 'SIGKILL');
    await release();
    await ended;
  });
});
