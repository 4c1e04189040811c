import { describe, expect, it } from '@jest/globals';
import { Writable } from 'node:stream';
import { createLog } from './log.js';

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
