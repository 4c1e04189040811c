import { DownloadResponse, type DownloadRequest } from '../../../proto/gen/shipyard/execution/v1/file_service.js';
import { bytesFieldHead, encodeBytesField } from '../../../proto/rpc/bytes-field.js';
import type { CallContext } from '../../../proto/rpc/definition.js';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { LargePipeReader } from '../workspace/pipes.js';
import type { SessionDirectory } from '../workspace/session-runner.js';
import { toFileInfo } from './file-service.js';
import type { GiveWay } from './give-way.js';

/** DownloadResponse.data. */
const DATA = 2;

/**
 * Encoded DownloadResponses: `info`, then `data` in pieces of at most 256 KiB, read no faster than they are taken.
 * Leaving the iteration, or the call's signal, stops the reading.
 */
export async function* download(
  sessions: SessionDirectory,
  request: DownloadRequest,
  ctx: CallContext,
  giveWay: GiveWay,
): AsyncIterable<Uint8Array> {
  const { sessionId, path, offset, length } = request;
  if (offset < 0 || length < 0) {
    throw new StatusError('INVALID_ARGUMENT', `offset and length are not negative: ${Math.min(offset, length)}`, {
      details: { field: offset < 0 ? 'offset' : 'length' },
    });
  }
  const runner = await sessions.runner(sessionId);
  const { info, data } = await runner.openRead(path, { offset, length });
  const leave = (): void => void data.destroy();
  ctx.signal.addEventListener('abort', leave, { once: true });
  try {
    ctx.signal.throwIfAborted();
    yield DownloadResponse.encode({ part: { $case: 'info', value: toFileInfo(info) } }).finish();
    for await (const chunk of data as AsyncIterable<Buffer>) {
      yield encodeData(chunk, data instanceof LargePipeReader);
      await giveWay();
    }
  } catch (error) {
    ctx.signal.throwIfAborted();
    throw error;
  } finally {
    ctx.signal.removeEventListener('abort', leave);
    data.destroy();
  }
}

/** Puts the field's header into the room that the reader left in front of the chunk: 256 KiB are not copied for it. */
function encodeData(chunk: Buffer, hasRoom: boolean): Uint8Array {
  if (!hasRoom) return encodeBytesField(DATA, chunk);
  const header = bytesFieldHead(DATA, chunk.length);
  const message = Buffer.from(chunk.buffer, chunk.byteOffset - header.length, header.length + chunk.length);
  message.set(header);
  return message;
}
