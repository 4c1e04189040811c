import { describe, expect, it } from '@jest/globals';
import { Cause, ExecutionEvent } from '../../proto/gen/shipyard/execution/v1/execution.js';
import { readEventHead } from './event-head.js';

const ended = {
  $case: 'ended' as const,
  value: {
    outcome: undefined,
    cause: Cause.NONE,
    statePreserved: false,
    detachedOutput: false,
    endTime: undefined,
    executionCount: 0,
  },
};
const stdout = { $case: 'stdout' as const, value: { content: { $case: 'text' as const, value: 'x'.repeat(300) } } };

describe('readEventHead', () => {
  it.each([1, 127, 128, 16_384, 2 ** 31, 2 ** 32 + 5, Number.MAX_SAFE_INTEGER])('reads the number %d', (sequence) => {
    for (const elapsedUs of [0, 1, 2 ** 40]) {
      const text = ExecutionEvent.encode({ sequence, elapsedUs, event: stdout }).finish();
      expect(readEventHead(text)).toEqual({ sequence, ended: false });
      const end = ExecutionEvent.encode({ sequence, elapsedUs, event: ended }).finish();
      expect(readEventHead(end)).toEqual({ sequence, ended: true });
    }
  });

  it('makes nothing of bytes that are no event', () => {
    expect(readEventHead(new Uint8Array())).toEqual({ sequence: 0, ended: false });
    expect(readEventHead(Uint8Array.of(8, 255, 255))).toMatchObject({ ended: false });
  });
});
