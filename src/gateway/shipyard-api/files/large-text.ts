/** fs/read_file of what is too large for one message: streamed, in one pass to see that it is text and one to tell it. */
import { StatusError } from '../../../../proto/rpc/status-error.js';
import type { ExecAnswer, ExecCall } from '../exec/call.js';
import { joinParts } from '../fold/json-parts.js';
import { openFile } from './download.js';

export interface Lines {
  /** From 1. */
  readonly first: number;
  /** Infinity: to the end. */
  readonly count: number;
}

/** @throws StatusError ENCODING_FAILED where the file is not UTF-8, and whatever a download throws */
export async function readLargeText(call: ExecCall, path: string, lines: Lines): Promise<ExecAnswer> {
  const { info, data } = await openFile(call, call.sessionId, path);
  const decoder = newDecoder();
  try {
    for await (const bytes of data) decoder.decode(bytes, { stream: true });
    decoder.decode();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_ENCODING_INVALID_ENCODED_DATA') throw error;
    throw new StatusError('ENCODING_FAILED', "'utf-8' codec can't decode the file: it holds other bytes", {
      cause: error,
    });
  }
  return joinParts([
    '{"success":true,"data":{"content":"',
    contentPieces(call, path, lines),
    `","path":${JSON.stringify(info.path)},"size":${info.sizeBytes}},"error":null}`,
  ]);
}

async function* contentPieces(call: ExecCall, path: string, { first, count }: Lines): AsyncGenerator<string> {
  if (count <= 0) return;
  const decoder = newDecoder();
  const { data } = await openFile(call, call.sessionId, path);
  let line = 1;
  for await (const bytes of data) {
    const text = decoder.decode(bytes, { stream: true });
    let from = line >= first ? 0 : -1;
    let to = text.length;
    for (let at = text.indexOf('\n'); at !== -1 && to === text.length; at = text.indexOf('\n', at + 1)) {
      line++;
      if (line === first) from = at + 1;
      if (line === first + count) to = at + 1;
    }
    if (from !== -1) yield JSON.stringify(text.slice(from, to)).slice(1, -1);
    if (line >= first + count) return;
  }
}

function newDecoder(): InstanceType<typeof TextDecoder> {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
}
