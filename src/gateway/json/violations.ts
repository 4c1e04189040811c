import { StatusError } from '../../../proto/rpc/status-error.js';

/** Where a request carries what is wrong. */
export type Place = 'body' | 'query' | 'path' | 'header';

export interface Violation {
  readonly in: Place;
  /** As JSON writes it: `cell.code`, `command.argv[2]`, `command.env["A"]`; empty: the whole. */
  readonly field: string;
  readonly problem: string;
}

/** More than these help nobody, and a hostile body could name a million. */
const MAX_VIOLATIONS = 20;
/** A name comes from the request, and may be as long as that. */
const MAX_FIELD_CHARS = 200;

/** What is wrong with one request, gathered so that one answer names it all. */
export class Violations {
  readonly #found: Violation[] = [];

  add(place: Place, field: string, problem: string): void {
    if (this.#found.length >= MAX_VIOLATIONS) return;
    this.#found.push({ in: place, field: field.slice(0, MAX_FIELD_CHARS), problem });
  }

  get any(): boolean {
    return this.#found.length > 0;
  }

  /** @throws StatusError INVALID_ARGUMENT with `details.violations`, where there are any */
  check(): void {
    if (!this.any) return;
    const text = this.#found.map(({ in: place, field, problem }) => `${nameOf(place, field)} ${problem}`).join('; ');
    throw new StatusError('INVALID_ARGUMENT', text, { details: { violations: this.#found } });
  }
}

function nameOf(place: Place, field: string): string {
  switch (place) {
    case 'body':
      return field === '' ? 'the body' : field;
    case 'query':
      return `query parameter ${field}`;
    case 'path':
      return `${field} in the path`;
    case 'header':
      return `header ${field}`;
  }
}

/** The kind of a JSON value, for people: "a string", "an object", "null". */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object') return 'an object';
  return `a ${typeof value}`;
}

/** A short form of a value that does not fit, for a message. */
export function show(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string') return kindOf(value);
  return JSON.stringify(value.length <= 40 ? value : `${value.slice(0, 40)}…`);
}
