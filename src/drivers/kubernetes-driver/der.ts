/** As much of DER as a certificate takes. */

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest >>>= 8) bytes.unshift(rest & 0xff);
  const head = length < 0x80 ? [tag, length] : [tag, 0x80 | bytes.length, ...bytes];
  return Buffer.concat([Buffer.from(head), content]);
}

export const sequence = (...parts: readonly Buffer[]): Buffer => tagged(0x30, Buffer.concat(parts));
export const set = (...parts: readonly Buffer[]): Buffer => tagged(0x31, Buffer.concat(parts));
export const boolean = (value: boolean): Buffer => tagged(0x01, Buffer.from([value ? 0xff : 0]));
/** Of a number from 0 to 127. */
export const smallInteger = (value: number): Buffer => tagged(0x02, Buffer.from([value]));
/** Whole bytes, or with unused bits at the end of the last one. */
export const bitString = (content: Buffer, unusedBits = 0): Buffer =>
  tagged(0x03, Buffer.concat([Buffer.from([unusedBits]), content]));
export const octetString = (content: Buffer): Buffer => tagged(0x04, content);
export const utf8String = (text: string): Buffer => tagged(0x0c, Buffer.from(text, 'utf8'));
/** `YYMMDDhhmmssZ`, of the years up to 2049. */
export const utcTime = (text: string): Buffer => tagged(0x17, Buffer.from(text, 'ascii'));
/** `YYYYMMDDhhmmssZ`. */
export const generalizedTime = (text: string): Buffer => tagged(0x18, Buffer.from(text, 'ascii'));
/** `[number]` around something. */
export const explicit = (number: number, content: Buffer): Buffer => tagged(0xa0 | number, content);
/** `[number]` in place of the tag that it would have. */
export const implicit = (number: number, content: Buffer): Buffer => tagged(0x80 | number, content);

export function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

/** Seven bits a byte, all but the last with the eighth one set. */
function base128(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes.unshift((rest & 0x7f) | 0x80);
  return bytes;
}
