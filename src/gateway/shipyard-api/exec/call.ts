/** What an exec type is given and gives. */
import type { ApiCall } from '../types.js';
import type { Check } from '../json/validation.js';
import { joinParts } from '../fold/json-parts.js';

export interface ExecCall extends ApiCall {
  readonly sessionId: string;
}

/** The whole envelope as JSON, or its pieces. */
export type ExecAnswer = string | AsyncIterable<string>;

export interface ExecType<T = unknown> {
  readonly payload: Check<T>;
  run(call: ExecCall, payload: T): Promise<ExecAnswer>;
}

/** Ties the payload's type to the handler's; the table of exec types itself does not know it. */
export function execType<T>(payload: Check<T>, run: (call: ExecCall, payload: T) => Promise<ExecAnswer>): ExecType {
  return { payload, run: (call, value) => run(call, value as T) };
}

/** @param mirror keys that are repeated beside `data`, where programs look for them */
export function envelope(data: object, mirror: object = {}): ExecAnswer {
  return joinParts([JSON.stringify({ success: true, data, error: null, ...mirror })]);
}
