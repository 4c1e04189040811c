import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { makeFolder } from './make-folder.js';

describe('makeFolder', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(path.join(tmpdir(), 'shipyard-test-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  it('makes a folder and those above it for its owner alone, and leaves what is there', () => {
    const inner = path.join(folder, 'a/b/c');
    makeFolder(inner);
    makeFolder(inner);
    expect(statSync(path.join(folder, 'a')).mode & 0o777).toBe(0o700);
    expect(statSync(inner).mode & 0o777).toBe(0o700);
  });

  it('says why it cannot, where a file is in the way or a folder takes no entries', () => {
    const file = path.join(folder, 'file');
    writeFileSync(file, '');
    expect(() => makeFolder(file)).toThrow('ENOTDIR');
    expect(() => makeFolder(path.join(file, 'below'))).toThrow('ENOTDIR');
    expect(() => makeFolder('/proc/nowhere/below')).toThrow('ENOENT');
  });
});
