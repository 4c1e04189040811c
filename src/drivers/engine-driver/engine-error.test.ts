import { inFull } from '../system-error.js';
import { toDriverError } from './engine-error.js';

const engine = { kind: 'docker', url: 'unix:///run/secret.sock' } as const;
const answered = (statusCode: number, message: string) =>
  Object.assign(new Error(`(HTTP code ${statusCode}) bad parameter - ${message}`), { statusCode, json: { message } });

describe('a failed call to an engine', () => {
  it.each([
    ['does not answer', Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }), 'DRIVER_UNAVAILABLE'],
    ['fails', answered(500, 'no space left'), 'DRIVER_UNAVAILABLE'],
    ['refuses', answered(400, 'invalid mount'), 'DRIVER_REFUSED'],
  ])('that %s: the reason says whether it may pass', (_what, error, reason) => {
    expect(toDriverError(engine, 'making a container', error)).toMatchObject({ reason });
  });

  it('tells callers what the engine said of the limits that they asked for', () => {
    const words = 'Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available';
    const failure = toDriverError(engine, 'starting a ship', answered(400, words));
    expect(failure.message).toBe(`docker refused starting a ship: ${words}`);
  });

  it('tells callers what was asked for, and operators what the engine said and where it is', () => {
    const failure = toDriverError(engine, 'making a container', answered(400, 'invalid mount\n/srv/private'));
    expect(failure.message).toBe('docker refused making a container');
    expect(inFull(failure)).toBe(
      'docker refused making a container: unix:///run/secret.sock: invalid mount; /srv/private',
    );
  });
});
