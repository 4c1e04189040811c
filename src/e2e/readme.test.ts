/** Every example of the README, run as it stands there; only ports and token are those of the test's own Bay. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { startOwnBay, type OwnBay } from '../../scripts/lib/bay.mjs';
import { works } from '../../scripts/lib/run.mjs';
import { unless } from '../../scripts/lib/unless.mjs';
import { publishedSdkPython } from './testing/python-sdk.js';

const run = promisify(execFile);
const readme = readFileSync(path.resolve(import.meta.dirname, '../../README.md'), 'utf8');
let bay: OwnBay;
let folder: string;

beforeAll(async () => {
  bay = await startOwnBay();
  folder = mkdtempSync(path.join(tmpdir(), 'shipyard-readme-'));
}, 60_000);
afterAll(async () => {
  await bay?.stop();
  rmSync(folder, { recursive: true, force: true });
}, 30_000);

function example(name: string): string {
  const block = new RegExp(`<!-- example: ${name} -->\\s*\`\`\`\\w+\\n([\\s\\S]*?)\`\`\``).exec(readme)?.[1];
  if (!block) throw new Error(`the README has no example "${name}"`);
  return block
    .replaceAll('8156', `${bay.port}`)
    .replaceAll('8157', `${bay.grpcPort}`)
    .replaceAll('change-me', bay.token);
}

const bash = async (script: string) =>
  (await run('bash', ['-euo', 'pipefail', '-c', script], { cwd: folder, timeout: 60_000 })).stdout;
const itWith = (command: string, args: string[]) => unless(works(command, args) ? undefined : `no ${command} here`, it);

describe('the README', () => {
  itWith('curl', ['--version'])(
    'shows a tour by curl that works',
    async () => {
      const output = await bash(example('curl'));
      expect(output).toContain('"text":"42"');
      expect(output.match(/"ended"/g)?.length).toBe(2);
    },
    60_000,
  );

  itWith('curl', ['--version'])(
    'shows a client that is cut and comes back to every event once, in order',
    async () => {
      const output = await bash(example('curl').split('# A ship for')[0] + example('return'));
      const events = [...output.matchAll(/^\{"sequence":.*$/gm)].map(
        ([line]) => JSON.parse(line) as { sequence: number; stdout?: { text: string }; ended?: object },
      );
      expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, at) => at + 1));
      expect(events.map(({ stdout }) => stdout?.text ?? '').join('')).toBe('0\n1\n2\n3\n4\n5\n6\n7\n');
      expect(events.at(-1)).toHaveProperty('ended');
    },
    60_000,
  );

  itWith('curl', ['--version'])(
    'shows how input is given to cells and commands',
    async () => {
      const output = await bash(example('curl').split('# A ship for')[0] + example('input'));
      expect(output).toContain('"text":"Ada\\n"');
      expect(output).toContain('"text":"hello\\n"');
      expect(output.match(/"ended"/g)?.length).toBe(2);
    },
    60_000,
  );

  itWith('curl', ['--version'])(
    'shows one answer, files, a terminal, sharing and coming back',
    async () => {
      const output = await bash(example('curl').split('# A ship for')[0] + example('more'));
      expect(output).toContain('"exited":{"code":3}');
      expect(output).toContain('"name":"noise.bin"');
      expect(output).toContain('24 80');
      expect(output).toContain('"currentSessionNum":2');
      expect(output).toMatch(/SHIP_STATE_STOPPED.*SHIP_STATE_RUNNING.*"incarnation":2/s);
    },
    60_000,
  );

  itWith('grpcurl', ['-version'])(
    'shows calls by grpcurl that work',
    async () => {
      const output = await bash(example('grpcurl'));
      expect(output).toContain('"state": "SHIP_STATE_RUNNING"');
      expect(output).toContain('shipyard.execution.v1.ExecutionService');
      expect(output).toContain('"status": "SERVING"');
    },
    60_000,
  );

  it('shows a Python program with the published SDK that works', async () => {
    const file = path.join(folder, 'example.py');
    writeFileSync(file, example('python'));
    const { stdout } = await run(await publishedSdkPython(), [file], { timeout: 60_000 });
    expect(stdout).toBe('hello from a file\n');
  }, 300_000);

  it('holds the configuration table of the program', async () => {
    const { stdout } = await run(process.execPath, [
      path.resolve(import.meta.dirname, '../../dist/bay.js'),
      '--config-table',
    ]);
    const rows = (text: string) =>
      [...text.matchAll(/^\| `[A-Z_<>]+`.*$/gm)].map(([row]) => row.replaceAll(/ +/g, ' ').trim());
    expect(rows(readme)).toEqual(rows(stdout));
  }, 30_000);
});
