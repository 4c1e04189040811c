import type { Writable } from 'node:stream';
import type {
  UploadHeader,
  UploadRequest,
  UploadResponse,
} from '../../../proto/gen/shipyard/execution/v1/file_service.js';
import type { CallContext } from '../../../proto/rpc/definition.js';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { checkMode } from '../service/validate.js';
import type { FileWriter, SessionDirectory } from '../workspace/session-runner.js';
import type { GiveWay } from './give-way.js';

/** Takes a header and then data, and makes the file at the end of the requests; whatever comes between leaves nothing. */
export async function upload(
  sessions: SessionDirectory,
  requests: AsyncIterable<UploadRequest>,
  ctx: CallContext,
  giveWay: GiveWay,
): Promise<UploadResponse> {
  let writer: FileWriter | undefined;
  try {
    for await (const { part } of requests) {
      if (writer === undefined) {
        if (part?.$case !== 'header') throw new StatusError('INVALID_ARGUMENT', 'the first message is not a header');
        writer = await open(sessions, part.value);
      } else if (part?.$case === 'data') {
        // false: the runner gave up on the file; commit() tells why.
        if (!(await write(writer, part.value, ctx.signal))) break;
        await giveWay();
      } else {
        throw new StatusError('INVALID_ARGUMENT', 'a message after the first holds no data');
      }
    }
    ctx.signal.throwIfAborted();
    if (writer === undefined) throw new StatusError('INVALID_ARGUMENT', 'an upload needs a header');
    return await writer.commit();
  } catch (error) {
    await writer?.abort();
    throw error;
  }
}

async function open(sessions: SessionDirectory, header: UploadHeader): Promise<FileWriter> {
  checkMode(header.mode);
  const runner = await sessions.runner(header.sessionId);
  return runner.openWrite(header.path, { mode: header.mode, sizeBytes: header.sizeBytes });
}

async function write(writer: FileWriter, data: Uint8Array, signal: AbortSignal): Promise<boolean> {
  const { data: pipe } = writer;
  if (pipe.destroyed) return false;
  if (data.length > 0 && !pipe.write(data)) await drained(pipe, signal);
  return !pipe.destroyed;
}

/** Resolves when the pipe takes more, or is closed; rejects with the signal's reason. */
function drained(pipe: Writable, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      pipe.off('drain', settle).off('close', settle);
      signal.removeEventListener('abort', settle);
      if (signal.aborted) reject(signal.reason as Error);
      else resolve();
    };
    pipe.on('drain', settle).on('close', settle);
    signal.addEventListener('abort', settle);
    if (signal.aborted || pipe.destroyed) settle();
  });
}
