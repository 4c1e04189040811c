/**
 * Reads of an encoded ExecutionEvent only what re-attaching needs: its number (field 1) and whether it is `ended`
 * (field 30). Fields come in the order of their numbers, so that both are found without going through the content.
 */
export function readEventHead(event: Uint8Array): { readonly sequence: number; readonly ended: boolean } {
  let sequence = 0;
  let position = 0;
  while (position < event.length) {
    const tag = readVarint(event, position);
    position = tag.next;
    if (tag.value % 8 !== 0) return { sequence, ended: Math.floor(tag.value / 8) === ENDED_FIELD };
    const number = readVarint(event, position);
    position = number.next;
    if (tag.value === SEQUENCE_TAG) sequence = number.value;
  }
  return { sequence, ended: false };
}

const SEQUENCE_TAG = 8;
const ENDED_FIELD = 30;

/** Exact below 2^53, as every number of ours is. */
function readVarint(bytes: Uint8Array, start: number): { readonly value: number; readonly next: number } {
  let value = 0;
  let scale = 1;
  for (let position = start; position < bytes.length; position += 1) {
    const byte = bytes[position] ?? 0;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return { value, next: position + 1 };
    scale *= 128;
  }
  return { value, next: bytes.length };
}
