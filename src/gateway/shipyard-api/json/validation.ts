/**
 * Checks of request bodies with the rules, the coercions and the very words of Pydantic's lax mode, as far as the
 * documented routes use it. A check takes values of JSON.parse or of parsePythonJson, pushes one item for each error,
 * and goes on, so that an answer names everything that is wrong.
 */
import { PythonFloat, stringifyPythonJson } from './python-json.js';

export type Location = ReadonlyArray<string | number>;

/** One entry of the list under `detail` in a 422. */
export interface ValidationItem {
  readonly type: string;
  readonly loc: Location;
  readonly msg: string;
  readonly input: unknown;
  readonly ctx?: Readonly<Record<string, unknown>>;
}

export const INVALID = Symbol('invalid');
export type Check<T> = (input: unknown, loc: Location, errors: ValidationItem[]) => T | typeof INVALID;

export interface Field<T> {
  readonly check: Check<T>;
  /** Taken where the key is absent; a field without one is required. */
  readonly fallback?: T;
}

type Values<F extends Readonly<Record<string, Field<unknown>>>> = {
  [K in keyof F]: F[K] extends Field<infer T> ? T : never;
};

/** The body of a 422, or of what Ship would answer. */
export function validationBody(errors: readonly ValidationItem[]): string {
  return stringifyPythonJson({ detail: errors });
}

export function missing(loc: Location, input: unknown = null): ValidationItem {
  return { type: 'missing', loc, msg: 'Field required', input };
}

export function model<F extends Readonly<Record<string, Field<unknown>>>>(
  fields: F,
  options: { readonly forbidExtra: boolean },
): Check<Values<F>> {
  const names = Object.keys(fields);
  return (input, loc, errors) => {
    if (!isObject(input)) {
      const msg = 'Input should be a valid dictionary or object to extract fields from';
      return reject(errors, { type: 'model_attributes_type', loc, msg, input });
    }
    const before = errors.length;
    const values: Record<string, unknown> = {};
    for (const name of names) {
      const { check, fallback } = fields[name] as Field<unknown>;
      if (has(input, name)) values[name] = check(get(input, name), [...loc, name], errors);
      else if (fallback !== undefined) values[name] = fallback;
      else errors.push(missing([...loc, name], input));
    }
    if (options.forbidExtra) {
      for (const key of keys(input)) {
        if (Object.hasOwn(fields, key)) continue;
        const msg = 'Extra inputs are not permitted';
        errors.push({ type: 'extra_forbidden', loc: [...loc, key], msg, input: get(input, key) });
      }
    }
    return errors.length === before ? (values as Values<F>) : INVALID;
  };
}

export function nullable<T>(check: Check<T>): Check<T | null> {
  return (input, loc, errors) => (input === null ? null : check(input, loc, errors));
}

/** Half of a surrogate pair alone: JSON can spell it, text cannot hold it. */
const LONE_SURROGATE = /\p{Surrogate}/u;

export const string: Check<string> = (input, loc, errors) => {
  if (typeof input !== 'string') {
    return reject(errors, { type: 'string_type', loc, msg: 'Input should be a valid string', input });
  }
  if (LONE_SURROGATE.test(input)) {
    const msg = 'Input should be a valid string, unable to parse raw data as a unicode string';
    return reject(errors, { type: 'string_unicode', loc, msg, input });
  }
  return input;
};

/** A JSON object, its values not looked at. */
export const dictionary: Check<object> = (input, loc, errors) =>
  isObject(input) ? input : reject(errors, dictionaryType(loc, input));

export const stringDictionary: Check<Record<string, string>> = (input, loc, errors) => {
  if (!isObject(input)) return reject(errors, dictionaryType(loc, input));
  const before = errors.length;
  const result: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const key of keys(input)) {
    string(key, [...loc, key, '[key]'], errors);
    const value = string(get(input, key), [...loc, key], errors);
    if (value !== INVALID) result[key] = value;
  }
  return errors.length === before ? result : INVALID;
};

export interface NumberBounds {
  /** Exclusive, as the documented rules are. */
  readonly greaterThan?: number;
  /** Inclusive: what the calls behind can carry. */
  readonly atMost?: number;
}

const INTEGER_TEXT = /^[+-]?[0-9]+(?:_[0-9]+)*(?:\.0+)?$/;
const TWO_TO_63 = 2 ** 63;

/** Integers; also integral floats, text of an integer, and booleans. */
export function integer(bounds: NumberBounds = {}): Check<number> {
  return (input, loc, errors) => {
    const value = integerOf(input);
    if (typeof value === 'number') return bounded(value, input, bounds, false, loc, errors);
    return reject(errors, { type: value.type, loc, msg: value.msg, input });
  };
}

function integerOf(input: unknown): number | { type: string; msg: string } {
  if (typeof input === 'boolean') return input ? 1 : 0;
  if (typeof input === 'bigint') return Number(input);
  if (typeof input === 'string') return integerOfText(input);
  const value = input instanceof PythonFloat ? input.value : input;
  if (typeof value !== 'number') return { type: 'int_type', msg: 'Input should be a valid integer' };
  if (!Number.isFinite(value)) return { type: 'finite_number', msg: 'Input should be a finite number' };
  if (!Number.isInteger(value)) {
    return {
      type: 'int_from_float',
      msg: 'Input should be a valid integer, got a number with a fractional part',
    };
  }
  return input instanceof PythonFloat && Math.abs(value) >= TWO_TO_63 ? OVERSIZED : value;
}

const OVERSIZED = {
  type: 'int_parsing_size',
  msg: 'Unable to parse input string as an integer, exceeded maximum size',
};

function integerOfText(text: string): number | { type: string; msg: string } {
  const trimmed = text.trim();
  if (!INTEGER_TEXT.test(trimmed)) {
    return { type: 'int_parsing', msg: 'Input should be a valid integer, unable to parse string as an integer' };
  }
  return trimmed.length > 4300 ? OVERSIZED : Number(trimmed.replaceAll('_', ''));
}

const FLOAT_TEXT = /^[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|infinity|nan)$/i;

/** Finite numbers; also text of a number, and booleans. */
export function float(bounds: NumberBounds = {}): Check<number> {
  return (input, loc, errors) => {
    const value = floatOf(input);
    if (typeof value !== 'number') return reject(errors, { type: value.type, loc, msg: value.msg, input });
    if (!Number.isFinite(value)) {
      return reject(errors, { type: 'finite_number', loc, msg: 'Input should be a finite number', input });
    }
    return bounded(value, input, bounds, true, loc, errors);
  };
}

function floatOf(input: unknown): number | { type: string; msg: string } {
  if (typeof input === 'boolean') return input ? 1 : 0;
  if (typeof input === 'bigint') return Number(input);
  if (typeof input === 'number') return input;
  if (input instanceof PythonFloat) return input.value;
  if (typeof input !== 'string') return { type: 'float_type', msg: 'Input should be a valid number' };
  const trimmed = input.trim();
  const plain = /^_|__|_$/.test(trimmed) ? trimmed : trimmed.replaceAll('_', '');
  if (!FLOAT_TEXT.test(plain)) {
    return { type: 'float_parsing', msg: 'Input should be a valid number, unable to parse string as a number' };
  }
  return /n/i.test(plain) ? NaN : Number(plain);
}

function bounded(
  value: number,
  input: unknown,
  bounds: NumberBounds,
  isFloat: boolean,
  loc: Location,
  errors: ValidationItem[],
): number | typeof INVALID {
  const { greaterThan, atMost } = bounds;
  const limit = (number: number) => (isFloat ? new PythonFloat(number) : number);
  if (greaterThan !== undefined && !(value > greaterThan)) {
    const msg = `Input should be greater than ${greaterThan}`;
    return reject(errors, { type: 'greater_than', loc, msg, input, ctx: { gt: limit(greaterThan) } });
  }
  if (atMost !== undefined && value > atMost) {
    const msg = `Input should be less than or equal to ${atMost}`;
    return reject(errors, { type: 'less_than_equal', loc, msg, input, ctx: { le: limit(atMost) } });
  }
  return value;
}

const TRUE_WORDS = new Set(['1', 'on', 't', 'true', 'y', 'yes']);
const FALSE_WORDS = new Set(['0', 'off', 'f', 'false', 'n', 'no']);

/** Booleans; also 0 and 1 as numbers, and the usual words. */
export const boolean: Check<boolean> = (input, loc, errors) => {
  if (typeof input === 'boolean') return input;
  const word = typeof input === 'string' ? input.toLowerCase() : numberText(input);
  if (word !== undefined && TRUE_WORDS.has(word)) return true;
  if (word !== undefined && FALSE_WORDS.has(word)) return false;
  const isFraction = input instanceof PythonFloat || (typeof input === 'number' && !Number.isInteger(input));
  if (word === undefined || isFraction) {
    return reject(errors, { type: 'bool_type', loc, msg: 'Input should be a valid boolean', input });
  }
  const msg = 'Input should be a valid boolean, unable to interpret input';
  return reject(errors, { type: 'bool_parsing', loc, msg, input });
};

function numberText(input: unknown): string | undefined {
  if (typeof input === 'number' || typeof input === 'bigint') return String(input);
  return input instanceof PythonFloat ? String(input.value) : undefined;
}

function dictionaryType(loc: Location, input: unknown): ValidationItem {
  return { type: 'dict_type', loc, msg: 'Input should be a valid dictionary', input };
}

function reject(errors: ValidationItem[], item: ValidationItem): typeof INVALID {
  errors.push(item);
  return INVALID;
}

function isObject(input: unknown): input is object {
  return typeof input === 'object' && input !== null && !Array.isArray(input) && !(input instanceof PythonFloat);
}

function has(object: object, key: string): boolean {
  return object instanceof Map ? object.has(key) : Object.hasOwn(object, key);
}

function get(object: object, key: string): unknown {
  return object instanceof Map ? object.get(key) : (object as Record<string, unknown>)[key];
}

function keys(object: object): string[] {
  return object instanceof Map ? ([...object.keys()] as string[]) : Object.keys(object);
}
