import type { Readable } from 'node:stream';
import type { UploadHeader, UploadRequest } from '../../../proto/gen/shipyard/execution/v1/file_service.js';
import { readBody } from '../request-body.js';

/** Bytes of one message; the proto's bound. */
export const UPLOAD_PIECE_BYTES = 256 * 1024;

/**
 * A body as the messages of FileService.upload: the header, then its bytes in pieces of 256 KiB, read as they are asked
 * for. The source is left alive, so that a refusal can still be answered.
 *
 * @throws StatusError TOO_LARGE as soon as more than maxBytes came; CANCELLED where the source breaks off: the file must
 *   not appear then
 */
export async function* uploadRequests(
  header: UploadHeader,
  body: Readable,
  options: { maxBytes: number; signal: AbortSignal },
): AsyncGenerator<UploadRequest> {
  yield { part: { $case: 'header', value: header } };
  for await (const bytes of readBody(body, { ...options, gatherBytes: UPLOAD_PIECE_BYTES })) {
    for (let start = 0; start < bytes.length; start += UPLOAD_PIECE_BYTES) {
      yield { part: { $case: 'data', value: bytes.subarray(start, start + UPLOAD_PIECE_BYTES) } };
    }
  }
}
