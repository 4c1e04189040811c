/** A message that holds one field of bytes and nothing else, written and read with as few copies as can be. */

/** What stands in front of a field's bytes: at most 6 bytes for a field below 16. */
export function bytesFieldHead(field: number, length: number): number[] {
  const head = [(field << 3) | 2];
  let rest = length;
  for (; rest > 0x7f; rest >>>= 7) head.push((rest & 0x7f) | 0x80);
  head.push(rest);
  return head;
}

/** One field of bytes, encoded; the bytes are copied once. */
export function encodeBytesField(field: number, bytes: Uint8Array): Buffer {
  const head = bytesFieldHead(field, bytes.length);
  const message = Buffer.allocUnsafe(head.length + bytes.length);
  message.set(head);
  message.set(bytes, head.length);
  return message;
}

/** A view of the field's bytes; undefined where the message holds anything else, or is in no order that we write. */
export function readBytesField(field: number, message: Uint8Array): Buffer | undefined {
  if (message[0] !== ((field << 3) | 2)) return undefined;
  let length = 0;
  // Up to 28 bits, which a piece of a file never exceeds.
  for (let index = 1; index < 5; index++) {
    const byte = message[index];
    if (byte === undefined) return undefined;
    length |= (byte & 0x7f) << (7 * (index - 1));
    if (byte >= 0x80) continue;
    const start = index + 1;
    return start + length === message.length
      ? Buffer.from(message.buffer, message.byteOffset + start, length)
      : undefined;
  }
  return undefined;
}
