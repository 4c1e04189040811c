/** A request message from the parts of an HTTP request: path, header, query and body. */
import type { DescMessage } from '@bufbuild/protobuf';
import { MessageReader, type Message } from './json/message-reader.js';
import { Violations } from './json/violations.js';
import { queryToJson } from './query.js';

export interface RequestParts {
  /** Decoded, by dotted paths of proto names. */
  readonly variables: Readonly<Record<string, string>>;
  readonly query: readonly (readonly [string, string])[];
  /** Where the route takes one. */
  readonly body?: object;
  /** Where the message wants one: the field to fill, and the header's text. */
  readonly session?: { readonly path: string; readonly id: string | undefined };
}

/** @throws StatusError INVALID_ARGUMENT naming everything that is wrong, in `details.violations` */
export function readRequest(type: DescMessage, parts: RequestParts): Message {
  const reader = MessageReader.of(type);
  const violations = new Violations();
  const { session } = parts;
  if (session && session.id === undefined) violations.add('header', 'X-SESSION-ID', 'is missing');

  const message = readFields(reader, parts, violations);
  if (session?.id !== undefined) {
    bind(reader, message, session.path, session.id, 'the header X-SESSION-ID', violations, placeOf(parts));
  }
  for (const [path, text] of Object.entries(parts.variables)) {
    bind(reader, message, path, text, 'the path', violations, placeOf(parts));
  }
  violations.check();
  return message;
}

function readFields(reader: MessageReader, parts: RequestParts, violations: Violations): Message {
  if (!parts.body) return reader.read(queryToJson(reader, parts.query, violations), '', { place: 'query', violations });
  for (const [name] of parts.query) violations.add('query', name, 'is not taken: fields belong into the body');
  return reader.read(parts.body, '', { place: 'body', violations });
}

function placeOf(parts: RequestParts): 'body' | 'query' {
  return parts.body ? 'body' : 'query';
}

/** What the path or a header says counts; the body may repeat it, and may not contradict it. */
function bind(
  reader: MessageReader,
  message: Message,
  path: string,
  value: string,
  source: string,
  violations: Violations,
  place: 'body' | 'query',
): void {
  const given = reader.get(message, path);
  if (given !== undefined && given !== '' && given !== value) {
    violations.add(place, jsonPath(reader, path), `differs from ${source}`);
  }
  reader.set(message, path, value);
}

function jsonPath(reader: MessageReader, path: string): string {
  const field = reader.resolve(path)?.field;
  const dot = path.lastIndexOf('.');
  return `${path.slice(0, dot + 1)}${field?.jsonName ?? path}`;
}
