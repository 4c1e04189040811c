/** The body of a request as the documented routes understand it: read whole, decoded and parsed by FastAPI's rules. */
import { isStatusError } from '../../../../proto/rpc/status-error.js';
import { declaredLength, readBody } from '../../request-body.js';
import { ApiError } from '../api-error.js';
import type { ApiCall } from '../types.js';
import { JsonSyntaxError, parsePythonJson } from './python-json.js';
import { INVALID, missing, type Check, type Location, type ValidationItem } from './validation.js';

/**
 * A parsed body. `value` may come from JSON.parse, which forgets how numbers were spelled; `exact` parses again, for
 * the answers that echo their input.
 */
export interface Body {
  readonly value: unknown;
  exact(): unknown;
}

export const NO_BODY: Body = { value: null, exact: () => null };

const EMPTY = Buffer.alloc(0);

/** @returns undefined where the body is larger than `maxBytes`; what remains of it is left unread */
export async function readWholeBody(call: ApiCall, maxBytes: number): Promise<Buffer | undefined> {
  const { raw } = call.request;
  const declared = declaredLength(raw);
  if ((declared ?? 0) > maxBytes) return undefined;
  // Most bodies came in one packet with their head, and wait for no event.
  if (declared !== undefined && raw.readableLength === declared) return (raw.read() as Buffer | null) ?? EMPTY;
  try {
    const pieces: Buffer[] = [];
    const options = { maxBytes, gatherBytes: maxBytes + 1, signal: call.options.signal };
    for await (const piece of readBody(raw, options)) pieces.push(piece);
    return pieces[0] ?? EMPTY;
  } catch (error) {
    if (isStatusError(error) && error.reason === 'TOO_LARGE') return undefined;
    throw error;
  }
}

/**
 * @param contentType as sent; absent means JSON
 * @throws ApiError 422 for broken JSON, 400 for what is no text at all
 */
export function parseBody(bytes: Buffer, contentType: string | undefined): Body {
  if (bytes.length === 0) return NO_BODY;
  if (contentType !== undefined && contentType !== '' && !isJson(contentType)) {
    const text = bytes.toString('utf8');
    return { value: text, exact: () => text };
  }
  const text = decodeJsonBytes(bytes);
  const exact = (): unknown => parseExactly(text);
  try {
    return { value: JSON.parse(text), exact };
  } catch {
    return { value: exact(), exact }; // NaN and the infinities pass here; what is broken throws in Python's words
  }
}

/**
 * The checked value of the whole body, or of a part of it.
 *
 * @param pick the part, taken from `value` and from `exact` alike
 * @returns INVALID after pushing to `errors`
 */
export function checkBody<T>(
  body: Body,
  check: Check<T>,
  loc: Location,
  errors: ValidationItem[],
  pick: (value: unknown) => unknown = (value) => value,
): T | typeof INVALID {
  const value = pick(body.value);
  if (value === null) {
    errors.push(missing(loc));
    return INVALID;
  }
  const checked = check(value, loc, []);
  return checked === INVALID ? check(pick(body.exact()), loc, errors) : checked;
}

function parseExactly(text: string): unknown {
  try {
    return parsePythonJson(text);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw unreadable();
    const item = {
      type: 'json_invalid',
      loc: ['body', error.offset],
      msg: 'JSON decode error',
      input: {},
      ctx: { error: error.message },
    };
    throw ApiError.validation([item]);
  }
}

function unreadable(): ApiError {
  return new ApiError(400, 'There was an error parsing the body');
}

/** By the rules of Python's email.message: anything malformed counts as text/plain. */
function isJson(contentType: string): boolean {
  const [type = '', subtype = '', ...rest] = (contentType.split(';')[0] ?? '').trim().toLowerCase().split('/');
  return rest.length === 0 && type === 'application' && (subtype === 'json' || subtype.endsWith('+json'));
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** UTF-8 with or without a mark; UTF-16 by its mark or its zeros, as Python guesses. */
function decodeJsonBytes(bytes: Buffer): string {
  const wide = utf16Encoding(bytes);
  try {
    return (wide === undefined ? UTF8 : new TextDecoder(wide, { fatal: true })).decode(bytes);
  } catch {
    throw unreadable();
  }
}

function utf16Encoding(bytes: Buffer): 'utf-16le' | 'utf-16be' | undefined {
  const [first, second] = bytes;
  if (bytes.length < 2) return undefined;
  if ((first === 0xff && second === 0xfe) || second === 0) return 'utf-16le';
  if ((first === 0xfe && second === 0xff) || first === 0) return 'utf-16be';
  return undefined;
}
