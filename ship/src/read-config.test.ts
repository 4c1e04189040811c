import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { readConfig } from './read-config.js';

const TEXT = JSON.stringify({
  shipId: 'é',
  incarnation: 2,
  token: 't'.repeat(64),
  listen: { kind: 'unix', path: '/run/a.sock' },
  stateDir: '/state',
  homesDir: '/homes',
  runDir: '/run',
  supportDir: '/support',
  python: { executable: '/usr/bin/python3', prefixes: ['/usr'] },
  sandbox: { kind: 'uid' },
});

describe('readConfig', () => {
  it('reads the file that is named', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'shipyard-config-'));
    writeFileSync(join(folder, 'agent.json'), TEXT);
    expect(await readConfig(join(folder, 'agent.json'))).toMatchObject({ shipId: 'é', sandbox: { kind: 'uid' } });
    rmSync(folder, { recursive: true });
  });

  it('reads standard input to its end, in whatever pieces it comes', async () => {
    const stdin = Readable.from(Array.from(Buffer.from(TEXT), (byte) => Buffer.from([byte])));
    expect(await readConfig('-', { stdin })).toMatchObject({ shipId: 'é', listen: { path: '/run/a.sock' } });
  });

  it.each([
    ['no name', undefined, Readable.from([]), /not named/],
    ['an input without an end', '-', new PassThrough(), /did not arrive within 50 ms/],
    ['an input that is too long', '-', Readable.from([Buffer.alloc(2 ** 20), Buffer.alloc(1)]), /more than 1048576/],
    ['an empty input', '-', Readable.from([]), /JSON/],
  ])('refuses %s', async (_, file, stdin, message) => {
    await expect(readConfig(file, { stdin, timeoutMs: 50 })).rejects.toThrow(message);
  });
});
