import { CancellationSource } from './cancellation.js';
import { Call } from './call.js';
import { StatusError } from './status-error.js';

const gone = new StatusError('CANCELLED', 'gone');

describe('a cancellation', () => {
  it('tells each of its listeners once, in their order', () => {
    const source = new CancellationSource();
    const heard: string[] = [];
    const first = () => heard.push(`first ${source.aborted}`);
    source.addEventListener('abort', first);
    source.addEventListener('abort', () => heard.push('second'));
    source.addEventListener('abort', first);
    expect(() => source.throwIfAborted()).not.toThrow();
    source.abort(gone);
    source.abort(new Error('later'));
    expect(heard).toEqual(['first true', 'second']);
    expect(source.reason).toBe(gone);
    expect(() => source.throwIfAborted()).toThrow(gone);
  });

  it('does not tell who has left, be it while others are told', () => {
    const source = new CancellationSource();
    const heard: string[] = [];
    const [left, late] = [() => heard.push('left'), () => heard.push('late')];
    source.addEventListener('abort', left);
    source.addEventListener('abort', () => source.removeEventListener('abort', late));
    source.addEventListener('abort', late);
    source.removeEventListener('abort', left);
    source.abort(gone);
    expect(heard).toEqual([]);
  });

  it('is an AbortSignal for whoever asks, before and after', () => {
    const source = new CancellationSource();
    const { signal } = source;
    expect(source.signal).toBe(signal);
    const heard: unknown[] = [];
    signal.addEventListener('abort', () => heard.push(signal.reason));
    source.abort(gone);
    expect(heard).toEqual([gone]);

    const late = new CancellationSource();
    late.abort(gone);
    expect(late.signal).toMatchObject({ aborted: true, reason: gone });
  });
});

describe('the context of a call', () => {
  it('has one cancellation in two shapes', () => {
    const call = new Call('/a/B', { metadata: {}, peer: 'test' });
    const { signal, cancellation } = call.ctx;
    expect([signal.aborted, cancellation.aborted]).toEqual([false, false]);
    call.cancel(gone);
    expect([signal.reason, cancellation.reason]).toEqual([gone, gone]);
  });

  it('makes no AbortSignal that nobody asked for', () => {
    const asked: unknown[] = [];
    const { AbortController: original } = globalThis;
    globalThis.AbortController = class extends original {
      constructor() {
        super();
        asked.push(this);
      }
    };
    try {
      const call = new Call('/a/B', { metadata: {}, peer: 'test' });
      call.ctx.cancellation.addEventListener('abort', () => undefined);
      call.cancel(gone);
      expect(asked).toHaveLength(0);
      expect(call.ctx.signal.aborted).toBe(true);
      expect(asked).toHaveLength(1);
    } finally {
      globalThis.AbortController = original;
    }
  });
});
