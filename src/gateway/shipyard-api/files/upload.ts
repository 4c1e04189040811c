/** POST /ship/{id}/upload: a form's file on its way to the ship while it comes in, or by a spool where its path comes later. */
import { PassThrough } from 'node:stream';
import type { UploadRequest, UploadResponse } from '../../../../proto/gen/shipyard/execution/v1/file_service.js';
import { isStatusError, StatusError } from '../../../../proto/rpc/status-error.js';
import { ApiError, shipDetail } from '../api-error.js';
import { accessFailure } from '../exec/failure.js';
import type { ValidationItem } from '../json/validation.js';
import type { ApiCall } from '../types.js';
import { Spool } from './spool.js';
import { readUploadForm, type FileTaker } from './upload-form.js';
import { PIECE_BYTES, uploadData, uploadHeader } from './upload-text.js';

/** What a file too large may go on to send, so that the answer can name its size and reach its sender. */
const MAX_DISCARDED_BYTES = 1024 * 1024 * 1024;

/**
 * @param sessionId undefined where the header is missing: then nothing is sent on, and the answer is a 422
 * @param errors of the headers, before those of the form
 * @returns the answer's JSON
 */
export async function upload(call: ApiCall, sessionId: string | undefined, errors: ValidationItem[]): Promise<string> {
  const transfer = new Transfer(call, sessionId);
  try {
    const form = await readUploadForm(call, transfer);
    errors.push(...form.errors);
    if (errors.length > 0) throw ApiError.validation(errors);
    transfer.checkSize();
    const { path } = await transfer.finish(form.filePath as string);
    return JSON.stringify({
      success: true,
      message: 'File uploaded successfully',
      file_path: path,
      error: null,
    });
  } catch (error) {
    throw uploadFailure(error);
  } finally {
    await transfer.close();
  }
}

class Transfer implements FileTaker {
  #size = 0;
  #live: LiveUpload | undefined;
  #spool: Spool | undefined;

  constructor(
    private readonly call: ApiCall,
    private readonly sessionId: string | undefined,
  ) {}

  begin(filePath: string | undefined): void {
    if (this.sessionId === undefined) return; // counted and thrown away
    if (filePath) this.#live = new LiveUpload(this.call, this.sessionId, filePath);
    else this.#spool = new Spool(this.call.deps.config.spoolDir);
  }

  async write(bytes: Buffer): Promise<void> {
    const { maxUploadBytes } = this.call.deps.config;
    this.#size += bytes.length;
    if (this.#size <= maxUploadBytes) return this.#live ? this.#live.write(bytes) : this.#spool?.write(bytes);
    this.#live?.abort(this.#tooLarge());
    await this.#spool?.close();
    this.#spool = undefined;
    if (this.#size > maxUploadBytes + MAX_DISCARDED_BYTES) throw this.#tooLarge();
  }

  checkSize(): void {
    if (this.#size > this.call.deps.config.maxUploadBytes) throw this.#tooLarge();
  }

  async finish(filePath: string): Promise<UploadResponse> {
    if (this.#live) return this.#live.finish();
    const { shipId, deps, options } = this.call;
    const spool = this.#spool ?? new Spool();
    const target = { shipId, sessionId: this.sessionId ?? '', path: filePath, sizeBytes: this.#size };
    return deps.files.upload(messages(uploadHeader(target), spool.read()), options);
  }

  /** Safe after finish, and at any time before. */
  async close(): Promise<void> {
    this.#live?.abort(new StatusError('CANCELLED', 'the upload was not completed'));
    await this.#spool?.close();
  }

  #tooLarge(): ApiError {
    const { maxUploadBytes } = this.call.deps.config;
    const text = `File size (${this.#size} bytes) exceeds maximum allowed size (${maxUploadBytes} bytes)`;
    return new ApiError(413, text);
  }
}

/** An upload that began before its bytes are all here. It ends only by finish, so that a broken form leaves no file. */
class LiveUpload {
  readonly #pipe = new PassThrough({ highWaterMark: PIECE_BYTES });
  readonly #answer: Promise<UploadResponse>;

  constructor(call: ApiCall, sessionId: string, path: string) {
    const header = uploadHeader({ shipId: call.shipId, sessionId, path });
    this.#pipe.on('error', () => undefined); // told by the answer, or by whoever aborted
    this.#answer = call.deps.files.upload(messages(header, this.#pipe as AsyncIterable<Buffer>), call.options);
    // Refused early, what still comes in is thrown away; the refusal itself is told at the end of the form.
    this.#answer.catch(() => undefined).finally(() => this.#pipe.destroy());
  }

  async write(bytes: Buffer): Promise<void> {
    if (this.#pipe.destroyed || this.#pipe.write(bytes)) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#pipe.off('drain', done).off('close', done);
        resolve();
      };
      this.#pipe.on('drain', done).on('close', done);
    });
  }

  finish(): Promise<UploadResponse> {
    this.#pipe.end();
    return this.#answer;
  }

  abort(reason: Error): void {
    if (!this.#pipe.destroyed) this.#pipe.destroy(reason);
  }
}

async function* messages(header: UploadRequest, bytes: AsyncIterable<Buffer>): AsyncGenerator<UploadRequest> {
  yield header;
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) yield uploadData(chunk.subarray(at, at + PIECE_BYTES));
  }
}

/** By the reason, never by words of the text, which may hold a file's name. */
function uploadFailure(thrown: unknown): unknown {
  if (!isStatusError(thrown)) return systemFailure(thrown);
  const access = accessFailure(thrown);
  switch (thrown.reason) {
    case 'CANCELLED':
      return thrown;
    case 'SHIP_NOT_FOUND':
    case 'SHIP_NOT_RUNNING':
      return new ApiError(404, access ?? '', { cause: thrown });
    case 'SESSION_NOT_BOUND':
      return new ApiError(403, access ?? '', { cause: thrown });
    case 'PATH_OUTSIDE_WORKSPACE':
      return ApiError.fromShip(403, 403, shipDetail(thrown.message), thrown);
    case 'FILE_NOT_FOUND':
      return ApiError.fromShip(404, 404, shipDetail(thrown.message), thrown);
    case 'PATH_WRONG_KIND':
      return ApiError.fromShip(400, 400, shipDetail(thrown.message), thrown);
    case 'TOO_LARGE':
      return new ApiError(413, thrown.message, { cause: thrown });
    case 'DEADLINE_EXCEEDED':
      return new ApiError(400, 'File upload timeout', { cause: thrown });
    case 'INTERNAL':
      return new ApiError(500, `File upload failed: ${thrown.message}`, { cause: thrown });
    default:
      if (access !== undefined) return new ApiError(400, access, { cause: thrown });
      return ApiError.fromShip(400, 500, shipDetail(`File upload failed: ${thrown.message}`), thrown);
  }
}

/** The spool's own trouble, most likely a full disk; the path stays here. */
function systemFailure(thrown: unknown): unknown {
  const code: unknown = thrown instanceof Error && 'syscall' in thrown && 'code' in thrown ? thrown.code : undefined;
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return thrown;
  return new ApiError(500, 'File upload failed: no space left for uploads', { cause: thrown });
}
