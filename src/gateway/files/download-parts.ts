import { DownloadResponse, type FileInfo } from '../../../proto/gen/shipyard/execution/v1/file_service.js';
import { readBytesField } from '../../../proto/rpc/bytes-field.js';

/** DownloadResponse.data. */
const DATA = 2;

export type DownloadPart = { readonly info: FileInfo } | { readonly data: Uint8Array };

/**
 * A part of a download from its encoded message. Data is a view on the message: a file passes without being copied.
 *
 * @returns undefined for a message that holds neither
 */
export function readDownloadPart(message: Uint8Array): DownloadPart | undefined {
  const data = readBytesField(DATA, message);
  if (data) return { data };
  const { part } = DownloadResponse.decode(message);
  if (part?.$case === 'info') return { info: part.value };
  return part?.$case === 'data' ? { data: part.value } : undefined;
}
