import { describe, expect, it } from '@jest/globals';
import { Writable } from 'node:stream';
import { createLog, createLogs } from './log.js';

function capture() {
  let text = '';
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      done();
    },
  });
  return { destination, text: () => text };
}

describe('createLog', () => {
  it('writes JSON lines with the level by name and the time in UTC', () => {
    const { destination, text } = capture();
    createLog({ level: 'info', destination }).info({ shipId: 'x' }, 'hello');
    expect(JSON.parse(text())).toMatchObject({
      level: 'info',
      shipId: 'x',
      msg: 'hello',
      time: expect.stringMatching(/Z$/),
    });
  });

  it('writes lines for people at once', () => {
    const { destination, text } = capture();
    createLog({ level: 'info', pretty: true, destination }).warn({ shipId: 'x' }, 'hello');
    expect(text()).toMatch(/WARN[\s\S]*hello[\s\S]*shipId/);
  });

  it('blots out what names a secret', () => {
    const { destination, text } = capture();
    createLog({ level: 'info', destination }).info({ token: 'hunter2', deep: { authorization: 'hunter2' } }, 'hello');
    expect(text()).not.toContain('hunter2');
  });

  it('is silent where asked to be', () => {
    const { destination, text } = capture();
    createLog({ level: 'silent', destination }).error({}, 'hello');
    expect(text()).toBe('');
  });
});

describe('createLogs', () => {
  it.each([{ pretty: false }, { pretty: true }])('keeps lines about calls in the order of all: %j', ({ pretty }) => {
    const { destination, text } = capture();
    const { log, calls, flush } = createLogs({ level: 'info', pretty, destination });
    calls.info({ n: 1 }, 'first');
    expect(text()).toBe('');
    log.info({}, 'second');
    calls.info({ n: 3 }, 'third');
    flush();
    expect(text()).toMatch(/first[^]*second[^]*third/);
  });

  it('writes them within a moment, by themselves', async () => {
    const written = new Promise<string>((resolve) => {
      const destination = new Writable({ write: (chunk: Buffer) => resolve(chunk.toString()) });
      const { calls } = createLogs({ level: 'info', destination });
      calls.info({ n: 1 }, 'first');
      calls.info({ n: 2 }, 'second');
    });
    expect((await written).trim().split('\n')).toHaveLength(2);
  });
});
