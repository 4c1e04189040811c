/** GET /ship/{id}/download: the file as it comes from the ship, never whole in memory. */
import { DownloadResponse, type FileInfo } from '../../../../proto/gen/shipyard/execution/v1/file_service.js';
import { isStatusError, StatusError } from '../../../../proto/rpc/status-error.js';
import { ApiError, shipDetail } from '../api-error.js';
import { accessFailure } from '../exec/failure.js';
import type { ApiCall } from '../types.js';

export interface OpenDownload {
  readonly info: FileInfo;
  /** Fails where the file turns out shorter than it was said to be: the answer must break, not end. */
  readonly data: AsyncIterable<Buffer>;
}

/** @throws ApiError while nothing has been answered yet */
export async function openDownload(call: ApiCall, sessionId: string, path: string): Promise<OpenDownload> {
  try {
    return await openFile(call, sessionId, path);
  } catch (error) {
    throw isStatusError(error) ? downloadFailure(error) : error;
  }
}

/** @throws StatusError as the file service does */
export async function openFile(call: ApiCall, sessionId: string, path: string): Promise<OpenDownload> {
  const { shipId, deps, options } = call;
  const request = { shipId, sessionId, path, offset: 0, length: 0 };
  const messages = deps.files.download(request, options)[Symbol.asyncIterator]();
  const first = await messages.next();
  const part = first.done ? undefined : DownloadResponse.decode(first.value).part;
  if (part?.$case !== 'info') throw new StatusError('INTERNAL', 'the download did not begin with its file');
  return { info: part.value, data: contents(messages, part.value.sizeBytes) };
}

async function* contents(messages: AsyncIterator<Uint8Array>, sizeBytes: number): AsyncGenerator<Buffer> {
  let sent = 0;
  for await (const message of { [Symbol.asyncIterator]: () => messages }) {
    const data = dataOf(message);
    sent += data.length;
    if (sent > sizeBytes) throw new StatusError('FILE_OPERATION_FAILED', 'the file grew while it was read');
    if (data.length > 0) yield data;
  }
  if (sent !== sizeBytes) throw new StatusError('FILE_OPERATION_FAILED', 'the file shrank while it was read');
}

const DATA_TAG = 0x12;

/** The bytes of a message without copying them: field 2 is all there is in it. */
function dataOf(message: Uint8Array): Buffer {
  let length = 0;
  let factor = 1;
  let at = 1;
  for (; at < message.length; at++) {
    const byte = message[at] as number;
    length += (byte & 0x7f) * factor;
    factor *= 128;
    if (byte < 0x80) break;
  }
  if (message[0] === DATA_TAG && at + 1 + length === message.length) {
    return Buffer.from(message.buffer, message.byteOffset + at + 1, length);
  }
  const { part } = DownloadResponse.decode(message);
  return part?.$case === 'data' ? part.value : Buffer.alloc(0);
}

/** By the reason, never by words of the text, which may hold a file's name. */
function downloadFailure(error: StatusError): unknown {
  const access = accessFailure(error);
  switch (error.reason) {
    case 'CANCELLED':
      return error;
    case 'SHIP_NOT_FOUND':
    case 'SHIP_NOT_RUNNING':
      return new ApiError(404, access ?? '', { cause: error });
    case 'SESSION_NOT_BOUND':
      return new ApiError(403, access ?? '', { cause: error });
    case 'FILE_NOT_FOUND':
      return ApiError.fromShip(404, 404, shipDetail('File not found'), error);
    case 'PATH_OUTSIDE_WORKSPACE':
      return ApiError.fromShip(403, 403, shipDetail(error.message), error);
    case 'PATH_WRONG_KIND':
      return ApiError.fromShip(400, 400, shipDetail('Path is not a file'), error);
    case 'DEADLINE_EXCEEDED':
      return new ApiError(400, 'File download timeout', { cause: error });
    default:
      if (access !== undefined) return new ApiError(400, access, { cause: error });
      return ApiError.fromShip(400, 500, shipDetail(`File download failed: ${error.message}`), error);
  }
}

/** The last segment of the path that was asked for, as a header: plain where it can be, else by RFC 5987 as well. */
export function contentDisposition(path: string, info: FileInfo): string {
  const name = path.slice(path.lastIndexOf('/') + 1) || info.name;
  if (/^[\x20-\x7e]*$/.test(name) && !/["\\]/.test(name)) return `attachment; filename="${name}"`;
  const plain = name.replace(/[^\x20-\x7e]|["\\]/gu, '_');
  return `attachment; filename="${plain}"; filename*=UTF-8''${encodeName(name)}`;
}

function encodeName(name: string): string {
  const wellFormed = Buffer.from(name).toString('utf8');
  return encodeURIComponent(wellFormed).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
