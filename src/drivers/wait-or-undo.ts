import { setTimeout as sleep } from 'node:timers/promises';
import { orAborted } from '../../proto/rpc/or-aborted.js';

/** What becomes of a thing that came when nobody waited for it any more. */
export interface Late<T> {
  /** Bounds itself. */
  undo(made: T): Promise<void>;
  /** Told where the making failed after all, or the undoing: it may be left. */
  failed(error: unknown): void;
}

/**
 * Waits for what an engine makes until the signal aborts, and lets the making go on even then: the engine would finish it all
 * the same, after what cleans up has looked. What comes late is undone: while the caller still waits where it comes within
 * the grace, so that nothing is left of a call that was given up, and behind the caller's back after that.
 *
 * @param making bounds itself, and with it how long the late thing is waited for
 * @param graceMs how long a caller whose signal aborted is kept at most
 * @throws the signal's reason, or what the making failed with
 */
export async function waitOrUndo<T>(making: Promise<T>, signal: AbortSignal, late: Late<T>, graceMs = 0): Promise<T> {
  try {
    return await orAborted(making, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    const undone = making.then((made) => late.undo(made)).catch((failure: unknown) => late.failed(failure));
    await Promise.race([undone, sleep(graceMs, undefined, { ref: false })]);
    throw error;
  }
}
