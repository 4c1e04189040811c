/** Reads the form of an upload as it comes in, and hands the bytes of its file on, piece by piece. */
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Busboy, type BusboyInstance } from '@fastify/busboy';
import { ApiError } from '../api-error.js';
import { isStatusError } from '../../../../proto/rpc/status-error.js';
import { hasBody, readBody } from '../../request-body.js';
import { readWholeBody } from '../json/body.js';
import type { ApiCall } from '../types.js';
import { missing, type ValidationItem } from '../json/validation.js';

/** Starlette's own bounds. */
const MAX_FIELD_BYTES = 1024 * 1024;
const MAX_PARTS = 1000;
/** What is given to the parser at once. */
const GATHER_BYTES = 64 * 1024;

/** Takes the bytes of the part `file`. */
export interface FileTaker {
  /** Called once, when the part begins. @param filePath where it came before the file */
  begin(filePath: string | undefined): void;
  /** Waits while the bytes cannot go on. */
  write(bytes: Buffer): Promise<void>;
}

export interface UploadForm {
  filePath?: string;
  /** What is wrong with the parts, in the order of the documented fields. */
  readonly errors: ValidationItem[];
}

/** @throws ApiError 400 for what is no form; whatever `taker` throws */
export async function readUploadForm(call: ApiCall, taker: FileTaker): Promise<UploadForm> {
  const parts = new Parts(taker);
  const type = (call.contentType ?? '').split(';')[0]?.trim().toLowerCase();
  if (type === 'multipart/form-data') await readMultipart(call, parts);
  else if (type === 'application/x-www-form-urlencoded') await readUrlEncoded(call, parts);
  return parts.form(); // any other body holds no form, and is left unread
}

/** @throws ApiError where the header alone shows that there is no form to read, which is said before anything else */
export function checkFormHeader(contentType: string | undefined): void {
  if (!/^\s*multipart\/form-data\s*(;|$)/i.test(contentType ?? '')) return;
  if (/;\s*boundary\s*=\s*("[^"]+"|[^\s";][^;]*)/i.test(contentType ?? '')) return;
  throw new ApiError(400, 'Missing boundary in multipart.');
}

class Parts {
  filePath: string | undefined;
  #pathProblem: ValidationItem | undefined;
  #fileProblem: ValidationItem | undefined;
  #hasFile = false;

  constructor(readonly taker: FileTaker) {}

  /** @returns whether the part is the file that is to be taken */
  beginFile(name: string): boolean {
    if (name === 'file_path') this.#pathProblem = stringType();
    if (name !== 'file') return false;
    if (this.#hasFile) this.#fileProblem = repeated('file', 'file');
    if (this.#hasFile) return false;
    this.#hasFile = true;
    this.taker.begin(this.filePath);
    return true;
  }

  field(name: string, value: string): void {
    if (name === 'file') this.#fileProblem = textForFile(value);
    if (name !== 'file_path') return;
    // Once the file is on its way to a path, another one cannot take effect.
    if (this.filePath !== undefined && this.#hasFile && value !== this.filePath) {
      this.#pathProblem = repeated('file_path', value);
    }
    this.filePath = value;
  }

  form(): UploadForm {
    const errors: ValidationItem[] = [];
    if (this.#fileProblem) errors.push(this.#fileProblem);
    else if (!this.#hasFile) errors.push(missing(['body', 'file']));
    if (this.#pathProblem) errors.push(this.#pathProblem);
    else if (!this.filePath) errors.push(missing(['body', 'file_path'])); // an empty one counts as missing
    return { errors, ...(this.filePath === undefined ? {} : { filePath: this.filePath }) };
  }
}

async function readMultipart(call: ApiCall, parts: Parts): Promise<void> {
  checkFormHeader(call.contentType);
  const { raw } = call.request;
  if (!hasBody(raw)) return;
  const parser = newParser(call.contentType as string);
  let taking: { stream: Readable; done: Promise<Error | undefined> } | undefined;
  let refused: ApiError | undefined;
  const refuse = (text: string) => {
    refused ??= new ApiError(400, text);
    parser.destroy(refused);
  };

  parser.on('file', (name: string, stream: Readable) => {
    if (!parts.beginFile(name)) {
      stream.on('error', () => undefined).resume(); // its failure is the form's, told by the parser
      return;
    }
    // A taker that fails stops the parser, which else would wait for its reader.
    taking = { stream, done: takeFile(stream, parts.taker, (error) => parser.destroy(error)) };
  });
  parser.on('field', (name: string, value: string, _nameCut: boolean, valueCut: boolean) => {
    if (valueCut) refuse(`Part exceeded maximum size of ${MAX_FIELD_BYTES / 1024}KB.`);
    else if (name !== undefined) parts.field(name, value);
  });
  parser.on('partsLimit', () => refuse(`Too many parts. Maximum number of parts is ${MAX_PARTS}.`));

  try {
    const options = { maxBytes: Infinity, gatherBytes: GATHER_BYTES, signal: call.options.signal };
    await pipeline(readBody(raw, options), parser);
  } catch (error) {
    taking?.stream.destroy();
    const failure = await taking?.done;
    throw failure ?? refused ?? malformed(error);
  }
  const failure = await taking?.done;
  if (failure) throw failure;
}

/** @throws ApiError 400 for a boundary that the parser cannot use */
function newParser(contentType: string): BusboyInstance {
  try {
    return new Busboy({
      headers: { 'content-type': contentType },
      limits: { fieldSize: MAX_FIELD_BYTES, parts: MAX_PARTS },
      isPartAFile: (_name, _type, fileName) => fileName !== undefined,
      preservePath: true,
    });
  } catch (error) {
    throw new ApiError(400, 'Missing boundary in multipart.', { cause: error });
  }
}

/** @returns why the taker failed; a stream that fails is the parser's matter */
async function takeFile(
  stream: Readable,
  taker: FileTaker,
  onFailure: (error: Error) => void,
): Promise<Error | undefined> {
  const bytes = stream[Symbol.asyncIterator]() as AsyncIterableIterator<Buffer>;
  for (;;) {
    const next = await bytes.next().catch(() => undefined);
    if (next === undefined || next.done) return undefined;
    try {
      await taker.write(next.value);
    } catch (error) {
      onFailure(error as Error);
      return error as Error;
    }
  }
}

function malformed(error: unknown): unknown {
  if (isStatusError(error)) return error; // the body did not come whole
  return new ApiError(400, 'There was an error parsing the body', { cause: error });
}

async function readUrlEncoded(call: ApiCall, parts: Parts): Promise<void> {
  const bytes = await readWholeBody(call, MAX_FIELD_BYTES);
  if (!bytes) throw new ApiError(400, `Part exceeded maximum size of ${MAX_FIELD_BYTES / 1024}KB.`);
  for (const [name, value] of new URLSearchParams(bytes.toString('utf8'))) parts.field(name, value);
}

function stringType(): ValidationItem {
  return { type: 'string_type', loc: ['body', 'file_path'], msg: 'Input should be a valid string', input: null };
}

function textForFile(text: string): ValidationItem {
  const msg = "Value error, Expected UploadFile, received: <class 'str'>";
  return { type: 'value_error', loc: ['body', 'file'], msg, input: text, ctx: { error: {} } };
}

function repeated(name: string, input: string): ValidationItem {
  return {
    type: 'value_error',
    loc: ['body', name],
    msg: 'Value error, given more than once',
    input,
    ctx: { error: {} },
  };
}
