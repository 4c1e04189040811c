/** Bounds on what a kernel's messages may hold beside texts and values that move to parts of an event. */
import { createHash } from 'node:crypto';

/** Levels of a JSON value. Python's own reader gives up at a thousand, and every writer in between is a recursion. */
const MAX_DEPTH = 500;
/** Of a display; Jupyter's own have a handful. */
const MAX_MIME_TYPES = 256;
/** Of a MIME type's name (RFC 6838: 127 on each side of the slash). */
const MAX_MIME_TYPE_CHARS = 255;
const MAX_BUFFERS = 1024;
const MAX_ID_CHARS = 1024;

/** @returns the value as JSON; `otherwise` where it is nested too deeply to be written or read */
export function toJson(value: unknown, otherwise: string): string {
  return isDeeperThan(MAX_DEPTH, value) ? otherwise : JSON.stringify(value);
}

/** Goes level by level, as a recursion ends where the stack does. */
function isDeeperThan(levels: number, value: unknown): boolean {
  let level = isObject(value) ? [value] : [];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth === levels) return true;
    const next: object[] = [];
    for (const object of level)
      for (const child of Array.isArray(object) ? (object as unknown[]) : Object.values(object))
        if (isObject(child)) next.push(child);
    level = next;
  }
  return false;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

/** A name by which messages refer to each other: one that is too long by its digest, the same in each. */
export function toId(text: string): string {
  return text.length <= MAX_ID_CHARS ? text : `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

/** The representations of a display that can be told apart by sensible names. */
export function boundTypes<T>(entries: readonly (readonly [string, T])[]): (readonly [string, T])[] {
  return entries.filter(([type]) => type.length <= MAX_MIME_TYPE_CHARS).slice(0, MAX_MIME_TYPES);
}

export function boundBuffers(buffers: readonly Buffer[]): Buffer[] {
  return buffers.slice(0, MAX_BUFFERS);
}
