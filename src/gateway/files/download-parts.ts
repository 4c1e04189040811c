import { DownloadResponse, type FileInfo } from '../../../proto/gen/shipyard/execution/v1/file_service.js';

/** Tag of `bytes data = 2`. */
const DATA_TAG = 0x12;

export type DownloadPart = { readonly info: FileInfo } | { readonly data: Uint8Array };

/**
 * A part of a download from its encoded message. Data is a view on the message: a file passes without being copied.
 *
 * @returns undefined for a message that holds neither
 */
export function readDownloadPart(message: Uint8Array): DownloadPart | undefined {
  if (message[0] === DATA_TAG) {
    const length = readVarint(message, 1);
    // A message that holds more than this one field is read in full below.
    if (length && length.end + length.value === message.length) return { data: message.subarray(length.end) };
  }
  const { part } = DownloadResponse.decode(message);
  if (part?.$case === 'info') return { info: part.value };
  return part?.$case === 'data' ? { data: part.value } : undefined;
}

/** Up to 28 bits, which a piece's length never exceeds. */
function readVarint(bytes: Uint8Array, start: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let index = 0; index < 4; index++) {
    const byte = bytes[start + index];
    if (byte === undefined) return undefined;
    value |= (byte & 0x7f) << (7 * index);
    if (byte < 0x80) return { value, end: start + index + 1 };
  }
  return undefined;
}
