import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { capLog } from './log-cap.js';

describe('capLog', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'log-cap-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('moves a full log aside and lets appending go on', () => {
    const file = path.join(folder, 'agent.log');
    writeFileSync(file, 'old '.repeat(100));
    capLog({ path: file, maxBytes: 200 })();
    appendFileSync(file, 'new');
    expect(readFileSync(file, 'utf8')).toBe('new');
    expect(readFileSync(`${file}.1`, 'utf8')).toBe('old '.repeat(100));

    capLog({ path: file, maxBytes: 200 })();
    expect(statSync(file).size).toBe(3);
  });

  it('bears a log that is not there', () => {
    expect(() => capLog({ path: path.join(folder, 'none'), maxBytes: 1 })()).not.toThrow();
  });
});
