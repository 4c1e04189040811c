/** The demo leaves nothing behind: not at its end, not when it is killed, not when its Bay is. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { eventually, processesWith } from './testing/processes.js';

const root = path.resolve(import.meta.dirname, '../..');
const foldersNow = () => new Set(readdirSync(tmpdir()).filter((name) => /^shipyard-[A-Za-z0-9]{6}$/.test(name)));

/** What one demo made on this machine, as far as can be seen from outside. */
class Demo {
  readonly #before = foldersNow();
  readonly process: ChildProcess = spawn(process.execPath, [path.join(root, 'scripts/demo.mjs')], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  readonly exited = new Promise<number | string>((resolve) =>
    this.process.once('exit', (code, signal) => resolve(signal ?? code ?? -1)),
  );
  output = '';
  shipId = '';
  folders: string[] = [];
  bayPid = 0;

  async shipIsUp(): Promise<void> {
    for await (const line of createInterface({ input: this.process.stdout as NodeJS.ReadableStream })) {
      this.output += `${line}\n`;
      this.shipId = /^Ship (\S+) is up/.exec(line)?.[1] ?? '';
      if (this.shipId !== '') break;
    }
    this.process.stdout?.on('data', (data: Buffer) => (this.output += data.toString()));
    this.folders = [...foldersNow()].filter((name) => !this.#before.has(name)).map((name) => path.join(tmpdir(), name));
    const children = readFileSync(`/proc/${this.process.pid}/task/${this.process.pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .map(Number);
    this.bayPid = children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('bay.js')) ?? 0;
    expect([this.shipId.length, this.folders.length > 0, this.bayPid > 0]).toEqual([36, true, true]);
  }

  async nothingIsLeft(): Promise<void> {
    const left = () => [
      ...processesWith(this.shipId),
      ...this.folders.flatMap((folder) => [...processesWith(folder), ...(existsSync(folder) ? [folder] : [])]),
      ...(existsSync(`/proc/${this.bayPid}`) ? [this.bayPid] : []),
    ];
    await eventually('nothing is left', () => left().length === 0, 15_000);
  }
}

describe('the demo', () => {
  it('ends with 0 and leaves nothing behind', async () => {
    const demo = new Demo();
    await demo.shipIsUp();
    expect(await demo.exited).toBe(0);
    await demo.nothingIsLeft();
    const picture = /The picture is in \S*?(\/\S+\.png)/.exec(demo.output)?.[1] ?? '';
    expect(readFileSync(picture).subarray(1, 4).toString()).toBe('PNG');
  }, 180_000);

  it('leaves nothing behind when it is killed', async () => {
    const demo = new Demo();
    await demo.shipIsUp();
    demo.process.kill('SIGKILL');
    await demo.nothingIsLeft();
  }, 120_000);

  it('fails when its Bay is killed, and leaves nothing behind', async () => {
    const demo = new Demo();
    await demo.shipIsUp();
    process.kill(demo.bayPid, 'SIGKILL');
    expect(await demo.exited).toBe(1);
    await demo.nothingIsLeft();
  }, 120_000);
});
