import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FileInfo, FileServiceDefinition } from '../../../proto/gen/shipyard/execution/v1/file_service.js';
import type { Client } from '../../../proto/rpc/definition.js';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { openBody } from '../body-writer.js';
import { openCall, type HttpCall } from '../call.js';
import { HttpOnlyError } from '../http-error.js';
import { attachmentHeader } from './content-disposition.js';
import { readDownloadPart } from './download-parts.js';
import { etagOf, isUnchanged, parseRange, resolveRange, type ByteRange, type RangeRequest } from './range.js';

export type FileClient = Client<typeof FileServiceDefinition>;

export interface FileTarget {
  readonly shipId: string;
  readonly sessionId: string;
  readonly path: string;
}

/**
 * Answers with a file's bytes, whole or, by the header Range, a part. They pass uncopied, at the reader's pace.
 *
 * @throws StatusError where nothing was sent yet; a failure within the body breaks the connection, since what is missing
 *   of the promised length is all that HTTP can say
 */
export async function sendDownload(
  files: FileClient,
  request: FastifyRequest,
  reply: FastifyReply,
  target: FileTarget,
  options: { ranges?: boolean } = {},
): Promise<void> {
  const call = openCall(request, reply);
  const wanted = options.ranges ? await readRange(files, request, target, call) : undefined;
  const span = wanted ? { offset: wanted.first, length: lengthOf(wanted) } : { offset: 0, length: 0 };
  const stream = files.download({ ...target, ...span }, call)[Symbol.asyncIterator]();
  try {
    const info = await readInfo(stream);
    const range = wanted && (resolveRange(wanted, info.sizeBytes) ?? refuseRange(info.sizeBytes));
    await sendBytes(reply, stream, { info, range, path: target.path, ranges: options.ranges ?? false }, call.signal);
  } finally {
    await stream.return?.();
  }
}

type FirstAndLast = Extract<RangeRequest, { first: number }>;

/** The range to ask for. A suffix and If-Range need the file's size and time first; the common range does not. */
async function readRange(
  files: FileClient,
  { headers }: FastifyRequest,
  target: FileTarget,
  call: HttpCall,
): Promise<FirstAndLast | undefined> {
  const range = parseRange(headers.range);
  const ifRange = headers['if-range'];
  if (!range || (range.first !== undefined && typeof ifRange !== 'string')) return range;

  const info = await files.getFileInfo(target, call);
  if (typeof ifRange === 'string' && !isUnchanged(ifRange, info)) return undefined;
  return range.first === undefined ? (resolveRange(range, info.sizeBytes) ?? refuseRange(info.sizeBytes)) : range;
}

/** As DownloadRequest has it: 0 is to the end. */
function lengthOf({ first, last }: FirstAndLast): number {
  return last === undefined ? 0 : last - first + 1;
}

function refuseRange(sizeBytes: number): never {
  throw new HttpOnlyError(416, 'INVALID_ARGUMENT', `nothing of the range exists: the file has ${sizeBytes} bytes`, {
    'content-range': `bytes */${sizeBytes}`,
  });
}

async function readInfo(stream: AsyncIterator<Uint8Array>): Promise<FileInfo> {
  const first = await stream.next();
  const part = first.done ? undefined : readDownloadPart(first.value);
  if (!part || !('info' in part)) throw new StatusError('INTERNAL', 'a download began without the file info');
  return part.info;
}

async function sendBytes(
  reply: FastifyReply,
  stream: AsyncIterator<Uint8Array>,
  { info, range, path, ranges }: { info: FileInfo; range: ByteRange | undefined; path: string; ranges: boolean },
  signal: AbortSignal,
): Promise<void> {
  const length = range ? range.last - range.first + 1 : info.sizeBytes;
  const headers = {
    'content-type': 'application/octet-stream',
    'content-length': length,
    'content-disposition': attachmentHeader(path),
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    ...(ranges ? { 'accept-ranges': 'bytes', etag: etagOf(info) } : {}),
    ...(ranges && info.modifyTime ? { 'last-modified': info.modifyTime.toUTCString() } : {}),
    ...(range ? { 'content-range': `bytes ${range.first}-${range.last}/${info.sizeBytes}` } : {}),
  };
  const body = openBody(reply, { status: range ? 206 : 200, headers }, signal);
  let left = length;
  try {
    while (left > 0) {
      const result = await stream.next();
      if (result.done) throw new StatusError('INTERNAL', `the file ended ${left} bytes early`);
      const part = readDownloadPart(result.value);
      if (!part || !('data' in part)) continue;
      const data = part.data.length > left ? part.data.subarray(0, left) : part.data;
      left -= data.length;
      const full = body.write(data);
      if (full) await full;
    }
    await body.end();
    await stream.next(); // the call's own end: it was no reader that left
  } catch (error) {
    if (!signal.aborted) reply.log.warn({ err: error }, 'a download broke off');
    body.destroy();
  }
}
