/** The demo leaves nothing behind: not at its end, not when it is killed, not when its Bay is. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { eventually, processesWith } from './testing/processes.js';

const root = path.resolve(import.meta.dirname, '../..');

/** What one demo made on this machine, as far as can be seen from outside. */
class Demo {
  readonly process: ChildProcess = spawn(process.execPath, [path.join(root, 'scripts/demo.mjs')], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  readonly exited = new Promise<number | string>((resolve) =>
    this.process.once('exit', (code, signal) => resolve(signal ?? code ?? -1)),
  );
  output = '';
  shipId = '';
  /** Where Bay runs, and keeps everything. */
  folder = '';
  bayPid = 0;

  async shipIsUp(): Promise<void> {
    for await (const line of createInterface({ input: this.process.stdout as NodeJS.ReadableStream })) {
      this.output += `${line}\n`;
      this.shipId = /^Ship (\S+) is up/.exec(line)?.[1] ?? '';
      if (this.shipId !== '') break;
    }
    this.process.stdout?.on('data', (data: Buffer) => (this.output += data.toString()));
    const children = readFileSync(`/proc/${this.process.pid}/task/${this.process.pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .map(Number);
    this.bayPid = children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('bay.js')) ?? 0;
    this.folder = readlinkSync(`/proc/${this.bayPid}/cwd`);
    expect(this.shipId).toHaveLength(36);
    expect(this.folder).toMatch(/\/shipyard-\w{6}$/);
  }

  async nothingIsLeft(): Promise<void> {
    const left = () => [
      ...processesWith(this.shipId),
      ...processesWith(this.folder),
      ...(existsSync(this.folder) ? [this.folder] : []),
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
