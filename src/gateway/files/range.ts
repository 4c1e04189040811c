import type { FileInfo } from '../../../proto/gen/shipyard/execution/v1/file_service.js';

/** One range of bytes, as RFC 9110 writes it; `first` undefined: the last `suffix` bytes. */
export type RangeRequest =
  | { readonly first: number; readonly last: number | undefined }
  | { readonly first: undefined; readonly suffix: number };

/** @returns undefined where there is none, and for what a server may ignore: other units, several ranges, bad syntax */
export function parseRange(header: string | undefined): RangeRequest | undefined {
  const match = /^bytes=(\d{0,16})-(\d{0,16})$/i.exec(header?.replaceAll(' ', '') ?? '');
  if (!match) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '') return last === '' ? undefined : { first: undefined, suffix: toOffset(last) };
  if (last !== '' && Number(last) < Number(first)) return undefined;
  return { first: toOffset(first), last: last === '' ? undefined : toOffset(last) };
}

/** Sixteen digits can exceed what is exact; no file reaches this. */
function toOffset(digits: string): number {
  return Math.min(Number(digits), 2 ** 52);
}

/** Inclusive, as in Content-Range. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** @returns undefined where nothing of the range exists: 416 */
export function resolveRange(range: RangeRequest, sizeBytes: number): ByteRange | undefined {
  const end = sizeBytes - 1;
  const [first, last] =
    range.first === undefined
      ? [Math.max(0, sizeBytes - range.suffix), end]
      : [range.first, Math.min(end, range.last ?? end)];
  return first <= last ? { first, last } : undefined;
}

/** Changes when the file does, as far as size and time tell. */
export function etagOf(info: FileInfo): string {
  return `"${info.sizeBytes.toString(16)}-${(info.modifyTime?.getTime() ?? 0).toString(16)}"`;
}

/** Whether a file is still the one of which the client holds a part (If-Range: an etag, or a date to the second). */
export function isUnchanged(ifRange: string, info: FileInfo): boolean {
  if (ifRange.startsWith('"')) return ifRange === etagOf(info);
  const date = Date.parse(ifRange);
  return !Number.isNaN(date) && Math.floor((info.modifyTime?.getTime() ?? Number.NaN) / 1000) * 1000 === date;
}
