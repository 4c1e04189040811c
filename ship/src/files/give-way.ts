import { setTimeout as pause } from 'node:timers/promises';

/** Whoever asked for work a moment ago waits for its answer, or is about to ask again. */
const CONVERSATION_MS = 100;
/** After each piece of a file, which takes about as long itself: a stream gives up two thirds of its pace at the most. */
const PAUSE_MS = 2;

/**
 * Called between two pieces of a file's stream: while somebody converses with this ship, the stream rests a moment. One
 * file at full pace keeps every process between here and its reader busy, and a cell would wait for its turn in each.
 *
 * @returns undefined: go on
 */
export type GiveWay = () => Promise<void> | undefined;

/** @param quietMs how long ago anybody asked for work */
export function createGiveWay(quietMs: () => number): GiveWay {
  return () => (quietMs() < CONVERSATION_MS ? pause(PAUSE_MS) : undefined);
}
