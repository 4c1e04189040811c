/** A text as the messages of an upload, in pieces, so that a large one is never one message. */
import type { UploadRequest } from '../../../../proto/gen/shipyard/execution/v1/file_service.js';

export const PIECE_BYTES = 256 * 1024;

export interface UploadTarget {
  readonly shipId: string;
  readonly sessionId: string;
  readonly path: string;
  readonly mode?: number | undefined;
  /** Where known; a different number of bytes then fails the upload. */
  readonly sizeBytes?: number | undefined;
}

export async function* uploadText(target: UploadTarget, text: string): AsyncGenerator<UploadRequest> {
  const bytes = Buffer.from(text);
  yield uploadHeader({ ...target, sizeBytes: bytes.length });
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield uploadData(bytes.subarray(at, at + PIECE_BYTES));
}

export function uploadHeader(target: UploadTarget): UploadRequest {
  const { shipId, sessionId, path, mode, sizeBytes } = target;
  return { part: { $case: 'header', value: { shipId, sessionId, path, mode, sizeBytes } } };
}

export function uploadData(bytes: Buffer): UploadRequest {
  return { part: { $case: 'data', value: bytes } };
}
