import { ExecutionEvent } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import type { EventBody } from './execution.js';
import { MAX_EVENT_BYTES, splitLarge } from './large-events.js';

const sizeOf = (event: EventBody) => ExecutionEvent.encode({ sequence: 1e15, elapsedUs: 1e15, event }).finish().length;

describe('an event that is too large', () => {
  it('of a display with as many types and as long names as there may be is in pieces of which each fits', () => {
    const items = Array.from({ length: 256 }, (_, at) => ({
      mimeType: `${at}`.padEnd(255, 'x'),
      content: { $case: 'text' as const, value: 'y'.repeat(at * 100) },
    }));
    const value = { items, metadataJson: '{}', displayId: 'd'.repeat(1024), executionCount: 1, largeFields: [] };
    const pieces = splitLarge({ $case: 'display', value });
    expect(Math.max(...pieces.map(sizeOf))).toBeLessThanOrEqual(MAX_EVENT_BYTES);
    const [first] = pieces;
    const moved =
      first?.$case === 'display' ? first.value.items.filter(({ content }) => content?.$case === 'parts') : [];
    expect(moved.map(({ mimeType }) => Number.parseInt(mimeType, 10))).not.toContain(0); // the smallest stay
    expect(moved.length).toBeGreaterThan(0);
  });

  it('of a question is cut at 64 KiB, between characters', () => {
    const [event] = splitLarge({
      $case: 'inputRequest',
      value: { prompt: `a${'é'.repeat(100_000)}`, password: false },
    });
    expect(event).toMatchObject({ value: { prompt: `a${'é'.repeat(32 * 1024 - 1)}` } });
  });
});
