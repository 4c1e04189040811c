/**
 * A call in progress on the serving side: its context, with one signal that joins every way in which the call can lose
 * its caller, and the means of its transport to end it.
 */
import { CancellationSource, type Cancellation } from './cancellation.js';
import type { CallContext } from './definition.js';
import { isNamed, isStatusError, StatusError } from './status-error.js';

export interface CallStart {
  /** Lower-case keys. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly peer: string;
  /** Time that remains for the call; undefined or 0: no deadline of its own. */
  readonly timeoutMs?: number | undefined;
}

/** The longest delay that a Node timer takes; a deadline beyond it (24 days) is none. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Call {
  readonly ctx: CallContext;
  /** The transport's: called once when the call is cancelled, right after its cancellation was told. */
  onCancel: ((reason: StatusError) => void) | undefined;
  readonly #cancellation = new CancellationSource();
  readonly #onEnd: ((call: Call) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(path: string, start: CallStart, onEnd?: (call: Call) => void) {
    this.#onEnd = onEnd;
    const { metadata, peer, timeoutMs } = start;
    let deadlineMs: number | undefined;
    if (timeoutMs !== undefined && timeoutMs !== 0 && timeoutMs <= LONGEST_TIMER_MS) {
      deadlineMs = performance.now() + timeoutMs;
      this.#timer = setTimeout(() => this.cancel(deadlineExceeded(timeoutMs)), timeoutMs);
    }
    this.ctx = new Context(path, this.#cancellation, metadata, peer, deadlineMs);
  }

  /** Aborts the context's cancellation; the handler is expected to end soon after. Does nothing when ended or cancelled. */
  cancel(reason: StatusError): void {
    if (this.#ended || this.#cancellation.aborted) return;
    clearTimeout(this.#timer);
    this.#cancellation.abort(reason);
    this.onCancel?.(reason);
  }

  /** The call is over; whoever serves it says so exactly when the handler has settled. Safe to repeat. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#onEnd?.(this);
  }
}

class Context implements CallContext {
  constructor(
    readonly method: string,
    readonly cancellation: CancellationSource,
    readonly metadata: Readonly<Record<string, string>>,
    readonly peer: string,
    readonly deadlineMs: number | undefined,
  ) {}

  get signal(): AbortSignal {
    return this.cancellation.signal;
  }
}

/** The same call as seen by the rest of a chain of interceptors. */
export function withMetadata(ctx: CallContext, metadata: Readonly<Record<string, string>>): CallContext {
  // Spreading it would make its signal.
  return Object.create(ctx, { metadata: { value: metadata, enumerable: true } }) as CallContext;
}

export function deadlineExceeded(timeoutMs?: number): StatusError {
  const text = timeoutMs === undefined ? '' : ` of ${Math.round(timeoutMs)} ms`;
  return new StatusError('DEADLINE_EXCEEDED', `the call's deadline${text} passed`);
}

/** Why a signal was aborted, as a StatusError: AbortSignal.timeout() is DEADLINE_EXCEEDED, everything else CANCELLED. */
export function abortReason(signal: Cancellation): StatusError {
  const reason: unknown = signal.reason;
  if (isStatusError(reason)) return reason;
  if (isNamed(reason, 'TimeoutError')) {
    return new StatusError('DEADLINE_EXCEEDED', "the call's deadline passed", { cause: reason });
  }
  return new StatusError('CANCELLED', 'the call was cancelled', { cause: reason });
}
