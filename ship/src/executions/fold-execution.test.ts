import { Ended, type ExecutionEvent, Started } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import { encodeEvent, encodeOutput } from './event-encoding.js';
import { foldExecution } from './fold-execution.js';

const ENDED = Ended.fromPartial({ outcome: { $case: 'completed', value: {} } });

async function* log(...events: (ExecutionEvent['event'] | ['stdout' | 'stderr' | 'pty', string | Buffer])[]) {
  let sequence = 0;
  for (const event of [...events, { $case: 'ended', value: ENDED } as const]) {
    sequence++;
    if (Array.isArray(event))
      yield encodeOutput(sequence, 0, event[0], Buffer.from(event[1]), typeof event[1] === 'string');
    else yield encodeEvent(sequence, 0, event);
  }
}

const display = (text: string, displayId = '') => ({
  items: [{ mimeType: 'text/plain', content: { $case: 'text' as const, value: text } }],
  metadataJson: '{}',
  displayId,
  executionCount: 0,
  largeFields: [],
});

describe('foldExecution', () => {
  it('keeps streams apart and takes displays in order', async () => {
    const answer = await foldExecution(
      'x',
      log(
        { $case: 'started', value: Started.fromPartial({ pid: 4 }) },
        ['stdout', 'a'],
        ['stderr', 'b'],
        { $case: 'display', value: display('old', 'd') },
        ['pty', 'c'],
        { $case: 'result', value: display('2') },
        { $case: 'updateDisplay', value: display('new', 'd') },
        { $case: 'updateDisplay', value: display('nobody') },
      ),
      0,
    );
    expect([answer.stdout.toString(), answer.stderr.toString()]).toEqual(['ac', 'b']);
    expect(answer.outputs.map(({ output }) => [output?.$case, output?.value.items[0]?.content?.value])).toEqual([
      ['display', 'new'],
      ['result', '2'],
    ]);
    expect(answer).toMatchObject({ truncated: false, nextSequence: 10, started: { pid: 4 }, ended: ENDED });
  });

  it('keeps the head of both streams together, whole characters only, and tells where to read on', async () => {
    const answer = await foldExecution('x', log(['stdout', 'abc'], ['stderr', 'dé€'], ['stdout', 'late']), 8);
    expect([answer.stdout.toString(), answer.stderr.toString()]).toEqual(['abc', 'dé']);
    expect(answer).toMatchObject({ truncated: true, nextSequence: 2 });
  });

  it('cuts bytes that are no text where the bound is', async () => {
    const answer = await foldExecution('x', log(['stdout', Buffer.alloc(10, 0x80)]), 4);
    expect(answer.stdout).toEqual(Buffer.alloc(4, 0x80));
  });

  it('leaves large displays out, says so, and stays below what stubs take', async () => {
    const large = 'x'.repeat(250_000);
    const many = Array.from({ length: 30 }, () => ({ $case: 'display' as const, value: display(large) }));
    const answer = await foldExecution('x', log(...many, { $case: 'result', value: display('42') }), 0);
    expect(answer.truncated).toBe(true);
    expect(answer.nextSequence).toBe(answer.outputs.length);
    expect(answer.outputs.at(-1)?.output).toMatchObject({ $case: 'result' });
  });

  it('says what was no longer kept', async () => {
    const answer = await foldExecution('x', log({ $case: 'truncated', value: { first: 1, last: 9, bytes: 3 } }), 0);
    expect(answer).toMatchObject({ truncated: true, nextSequence: 1 });
  });
});
