import { crc32 } from 'node:zlib';
import { MAX_EVENT_BYTES } from './large-events.js';

/** A record in a file: length and CRC-32 of the event, 4 bytes each, then the encoded event. */
export const RECORD_HEADER_BYTES = 8;

/** A buffer of this size holds at least one whole record. */
export const MAX_RECORD_BYTES = MAX_EVENT_BYTES + RECORD_HEADER_BYTES;

/** Headers and events in the order in which they are written; the events themselves are not copied. */
export function toRecords(events: readonly Buffer[]): Buffer[] {
  const headers = Buffer.allocUnsafe(events.length * RECORD_HEADER_BYTES);
  const pieces: Buffer[] = [];
  events.forEach((event, at) => {
    const offset = at * RECORD_HEADER_BYTES;
    headers.writeUInt32LE(event.length, offset);
    headers.writeUInt32LE(crc32(event), offset + 4);
    pieces.push(headers.subarray(offset, offset + RECORD_HEADER_BYTES), event);
  });
  return pieces;
}

/** The whole records at the start of a buffer, and the bytes they take. Stops at what is cut off or damaged. */
export function parseRecords(bytes: Buffer): { events: Buffer[]; size: number } {
  const events: Buffer[] = [];
  let at = 0;
  while (bytes.length - at >= RECORD_HEADER_BYTES) {
    const length = bytes.readUInt32LE(at);
    const end = at + RECORD_HEADER_BYTES + length;
    if (length === 0 || length > MAX_EVENT_BYTES || end > bytes.length) break;
    const event = bytes.subarray(at + RECORD_HEADER_BYTES, end);
    if (crc32(event) !== bytes.readUInt32LE(at + 4)) break;
    events.push(event);
    at = end;
  }
  return { events, size: at };
}
