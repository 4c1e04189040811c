/** Scalars and enums of the protos in JSON: what is taken, how it is said, and what ts-proto calls it. */
import { ScalarType, type DescEnum } from '@bufbuild/protobuf';
import { kindOf, show } from './violations.js';

/** The value for the message, or what is wrong with it ("must be …, not …"). */
export type Parsed = { readonly value: unknown } | { readonly problem: string };
export type ParseScalar = (json: unknown) => Parsed;

/** Inclusive. 64-bit numbers go as far as a JSON number is exact. */
export const INTEGER_RANGES: Readonly<Partial<Record<ScalarType, readonly [number, number]>>> = {
  [ScalarType.INT32]: [-(2 ** 31), 2 ** 31 - 1],
  [ScalarType.SINT32]: [-(2 ** 31), 2 ** 31 - 1],
  [ScalarType.SFIXED32]: [-(2 ** 31), 2 ** 31 - 1],
  [ScalarType.UINT32]: [0, 2 ** 32 - 1],
  [ScalarType.FIXED32]: [0, 2 ** 32 - 1],
  [ScalarType.INT64]: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  [ScalarType.SINT64]: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  [ScalarType.SFIXED64]: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  [ScalarType.UINT64]: [0, Number.MAX_SAFE_INTEGER],
  [ScalarType.FIXED64]: [0, Number.MAX_SAFE_INTEGER],
};

const WIDE = new Set([ScalarType.INT64, ScalarType.SINT64, ScalarType.SFIXED64, ScalarType.UINT64, ScalarType.FIXED64]);

export function isWide(type: ScalarType): boolean {
  return WIDE.has(type);
}

export function scalarParser(type: ScalarType): ParseScalar {
  const range = INTEGER_RANGES[type];
  if (range) return (json) => parseInteger(json, range, isWide(type));
  switch (type) {
    case ScalarType.STRING:
      return parseString;
    case ScalarType.BOOL:
      return (json) => (typeof json === 'boolean' ? { value: json } : wrong('true or false', json));
    case ScalarType.BYTES:
      return parseBytes;
    default:
      // JSON.parse reads 1e999 as Infinity.
      return (json) => (Number.isFinite(json) ? { value: json } : wrong('a number', json));
  }
}

function parseString(json: unknown): Parsed {
  if (typeof json !== 'string') return { problem: `must be a string, not ${kindOf(json)}` };
  if (/\p{Surrogate}/u.test(json)) return { problem: 'must be Unicode text, and holds a lone surrogate' };
  return { value: json };
}

function parseInteger(json: unknown, [least, most]: readonly [number, number], textToo: boolean): Parsed {
  const value = textToo && typeof json === 'string' && /^-?\d{1,17}$/.test(json) ? Number(json) : json;
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) {
    return { value: value + 0 }; // -0 is 0
  }
  return wrong(`a whole number from ${least} to ${most}`, json);
}

/** Both alphabets of base64, padded or not, as proto3 JSON takes them. */
function parseBytes(json: unknown): Parsed {
  if (typeof json !== 'string') return { problem: `must be a string of base64, not ${kindOf(json)}` };
  const digits = json.replace(/={0,2}$/, '');
  if (!/^[A-Za-z0-9+/_-]*$/.test(digits) || digits.length % 4 === 1) return { problem: 'must be base64' };
  return { value: Buffer.from(json, 'base64') };
}

/** ts-proto's string enums are the full names; a name is taken with and without its type's prefix. */
export function enumParser(type: DescEnum): ParseScalar {
  const byName = new Map<string, string>();
  for (const { name } of type.values) byName.set(name, name).set(shortName(type, name), name);
  const allowed = type.values.map(({ name }) => name).join(', ');
  return (json) => {
    const name = typeof json === 'string' ? byName.get(json) : undefined;
    return name === undefined ? { problem: `must be one of ${allowed}, not ${show(json)}` } : { value: name };
  };
}

function shortName(type: DescEnum, name: string): string {
  const prefix = type.sharedPrefix?.toUpperCase() ?? '';
  return name.startsWith(prefix) ? name.slice(prefix.length) : name;
}

/** RFC 3339, to the millisecond: what a Date holds. */
export function parseTimestamp(json: unknown): Parsed {
  const rfc3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;
  const millis = typeof json === 'string' && rfc3339.test(json) ? Date.parse(json) : Number.NaN;
  if (Number.isNaN(millis)) return wrong('a time as 2026-01-31T12:00:00Z', json);
  return { value: new Date(millis) };
}

function wrong(wanted: string, json: unknown): Parsed {
  return { problem: `must be ${wanted}, not ${show(json)}` };
}
