/**
 * A call in progress on the serving side: its context, with one signal that joins every way in which the call can lose
 * its caller, and the means of its transport to end it.
 */
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
  /** The transport's: called once when the call is cancelled, right after its signal was aborted. */
  onCancel: ((reason: StatusError) => void) | undefined;
  readonly #controller = new AbortController();
  readonly #onEnd: ((call: Call) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(path: string, start: CallStart, onEnd?: (call: Call) => void) {
    this.#onEnd = onEnd;
    const { metadata, peer, timeoutMs } = start;
    const signal = this.#controller.signal;
    if (timeoutMs !== undefined && timeoutMs !== 0 && timeoutMs <= LONGEST_TIMER_MS) {
      this.ctx = { method: path, signal, metadata, peer, deadlineMs: performance.now() + timeoutMs };
      this.#timer = setTimeout(() => this.cancel(deadlineExceeded(timeoutMs)), timeoutMs);
    } else {
      this.ctx = { method: path, signal, metadata, peer };
    }
  }

  /** Aborts the context's signal; the handler is expected to end soon after. Does nothing when ended or cancelled. */
  cancel(reason: StatusError): void {
    if (this.#ended || this.#controller.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#controller.abort(reason);
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

export function deadlineExceeded(timeoutMs?: number): StatusError {
  const text = timeoutMs === undefined ? '' : ` of ${Math.round(timeoutMs)} ms`;
  return new StatusError('DEADLINE_EXCEEDED', `the call's deadline${text} passed`);
}

/** Why a signal was aborted, as a StatusError: AbortSignal.timeout() is DEADLINE_EXCEEDED, everything else CANCELLED. */
export function abortReason(signal: AbortSignal): StatusError {
  const reason: unknown = signal.reason;
  if (isStatusError(reason)) return reason;
  if (isNamed(reason, 'TimeoutError')) {
    return new StatusError('DEADLINE_EXCEEDED', "the call's deadline passed", { cause: reason });
  }
  return new StatusError('CANCELLED', 'the call was cancelled', { cause: reason });
}
