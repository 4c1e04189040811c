import { REASONS, type Reason } from './reasons.js';
import { StatusError } from './status-error.js';
import { fromWireStatus, toWireStatus } from './wire-status.js';

const roundTrip = (error: StatusError, maxBytes = 4096): StatusError => {
  const { code, message, details } = toWireStatus(error, maxBytes);
  expect(details.length).toBeLessThanOrEqual(maxBytes);
  return fromWireStatus(code, message, details);
};

describe('toWireStatus and fromWireStatus', () => {
  it.each(Object.keys(REASONS) as Reason[])('keep %s', (reason) => {
    expect(roundTrip(new StatusError(reason, 'text'))).toMatchObject({ reason, message: 'text', details: {} });
  });

  it.each([
    ['text'],
    ['42'],
    [''],
    ['null'],
    ['{"a":1}'],
    ['"quoted"'],
    [42],
    [-1.5],
    [true],
    [[1, 'a']],
    [{ a: { b: [] } }],
  ])('keep the type of a detail: %j', (value) => {
    expect(roundTrip(new StatusError('INTERNAL', '', { details: { value } })).details).toEqual({ value });
  });

  it('leave the longest details out where there is no room, and cut a text that is too long', () => {
    const details = { path: 'a/b', traceback: 'x'.repeat(10_000), size_bytes: 5 };
    const error = roundTrip(new StatusError('TOO_LARGE', 'm'.repeat(5000), { details }));
    expect(error.details).toEqual({ path: 'a/b', size_bytes: 5 });
    expect(error.message).toHaveLength(2049);
  });

  it('find the reason that fits a status of others', () => {
    expect(fromWireStatus(12, 'no').reason).toBe('METHOD_UNKNOWN');
    expect(fromWireStatus(2, 'no').reason).toBe('INTERNAL');
    expect(fromWireStatus(5, 'no', Buffer.from([0xff, 0xff])).reason).toBe('INTERNAL');
  });

  it('do not carry the cause', () => {
    const error = new StatusError('INTERNAL', 'text', { cause: new Error('secret') });
    expect(toWireStatus(error, 4096).details.toString('latin1')).not.toContain('secret');
  });
});
