import { randomFillSync } from 'node:crypto';

/** Ids that a caller may choose. */
const GRAMMAR = /^[A-Za-z0-9._-]{1,128}$/;

/** The id of the one execution of a session that takes output which belongs to no other. */
export const BACKGROUND_ID = 'background';

export function isExecutionId(text: string): boolean {
  return GRAMMAR.test(text);
}

/** A UUIDv7: ordered by time, for ids that nobody chose. */
export function makeExecutionId(wallMs: number): string {
  const bytes = Buffer.allocUnsafe(16);
  randomFillSync(bytes, 6);
  bytes.writeUIntBE(wallMs, 0, 6);
  bytes[6] = 0x70 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
