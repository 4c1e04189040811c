/** Query strings as proto fields: `?states=RUNNING&states=STOPPED&size.columns=80`. */
import { ScalarType, type DescField, type DescMessage } from '@bufbuild/protobuf';
import { StatusError } from '../../proto/rpc/status-error.js';
import type { JsonObject } from './json/message-writer.js';
import { MessageReader } from './json/message-reader.js';
import { INTEGER_RANGES } from './json/scalars.js';
import type { Violations } from './json/violations.js';

/**
 * @param url as the request line gives it
 * @throws StatusError INVALID_ARGUMENT where it is not percent-encoded UTF-8
 */
export function parseQuery(url: string): [name: string, value: string][] {
  const mark = url.indexOf('?');
  if (mark < 0) return [];
  const parts = url.slice(mark + 1).split('&');
  return parts
    .filter((part) => part !== '')
    .map((part) => {
      const equals = part.indexOf('=');
      return equals < 0 ? [decode(part), ''] : [decode(part.slice(0, equals)), decode(part.slice(equals + 1))];
    });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw new StatusError('INVALID_ARGUMENT', `not percent-encoded UTF-8 in the query: ${text.slice(0, 80)}`);
  }
}

/** The JSON that a query means for a message, to be read as a body would be. */
export function queryToJson(
  reader: MessageReader,
  query: readonly (readonly [string, string])[],
  violations: Violations,
): JsonObject {
  const json: JsonObject = {};
  for (const [name, text] of query) {
    const field = reader.resolve(name)?.field;
    if (!field) {
      violations.add(
        'query',
        name,
        `is unknown (allowed: ${queryFields(reader.descriptor).map(nameOf).join(', ') || 'none'})`,
      );
    } else if (field.message || field.fieldKind === 'map') {
      violations.add('query', name, 'is an object and cannot be given in the query');
    } else {
      place(json, reader, name, field, textToJson(field, text), violations);
    }
  }
  return json;
}

/** Every field that a query can carry, with its dotted path of proto names. */
export function queryFields(type: DescMessage, prefix = ''): { path: string; field: DescField }[] {
  return type.fields.flatMap((field) => {
    if (field.fieldKind === 'map' || (field.fieldKind === 'list' && field.message)) return [];
    if (field.fieldKind === 'message') return queryFields(field.message, `${prefix}${field.name}.`);
    return [{ path: `${prefix}${field.name}`, field }];
  });
}

function nameOf({ path, field }: { path: string; field: DescField }): string {
  const dot = path.lastIndexOf('.');
  return `${path.slice(0, dot + 1)}${field.jsonName}`;
}

function place(
  json: JsonObject,
  reader: MessageReader,
  name: string,
  field: DescField,
  value: unknown,
  violations: Violations,
): void {
  let holder = json;
  let at = reader;
  const names = name.split('.');
  for (const step of names.slice(0, -1)) {
    const inner = at.resolve(step)?.field;
    if (inner?.fieldKind !== 'message') return; // resolve() walked the same way before
    holder = (holder[inner.jsonName] ??= {}) as JsonObject;
    at = MessageReader.of(inner.message);
  }
  if (field.fieldKind === 'list') ((holder[field.jsonName] ??= []) as unknown[]).push(value);
  else if (field.jsonName in holder) violations.add('query', name, 'is given more than once');
  else holder[field.jsonName] = value;
}

/** Text as the JSON value that the field wants; what is not one stays text, for the reader to refuse. */
function textToJson(field: DescField, text: string): unknown {
  const { scalar } = field;
  if (scalar === ScalarType.BOOL) return text === 'true' ? true : text === 'false' ? false : text;
  if (scalar !== undefined && INTEGER_RANGES[scalar]) return /^-?\d{1,17}$/.test(text) ? Number(text) : text;
  if (scalar === ScalarType.DOUBLE || scalar === ScalarType.FLOAT) {
    return /^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text) ? Number(text) : text;
  }
  return text;
}
