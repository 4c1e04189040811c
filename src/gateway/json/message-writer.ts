/**
 * ts-proto's messages to JSON by the descriptors: lowerCamelCase, 64-bit numbers as numbers, bytes as base64, enums by
 * full name, times as RFC 3339. Scalars, lists and maps are always there, also when empty, so that `{"code": 0}` can be
 * told from nothing; messages, oneofs and `optional` fields only when set.
 */
import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { ScalarType } from '@bufbuild/protobuf';

export type JsonObject = Record<string, unknown>;
type WriteValue = (value: unknown) => unknown;
type WriteMember = (message: JsonObject, json: JsonObject) => void;

const asIs: WriteValue = (value) => value;
const writeBytes: WriteValue = (value) => {
  const bytes = value as Uint8Array;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
};
const writeFloat: WriteValue = (value) => (Number.isFinite(value) ? value : String(value));

export class MessageWriter {
  readonly #members: WriteMember[] = [];

  static readonly #writers = new WeakMap<DescMessage, MessageWriter>();

  static of(descriptor: DescMessage): MessageWriter {
    const known = MessageWriter.#writers.get(descriptor);
    if (known) return known;
    const writer = new MessageWriter();
    MessageWriter.#writers.set(descriptor, writer); // before its fields: messages may hold themselves
    for (const member of descriptor.members) writer.#members.push(memberWriter(member));
    return writer;
  }

  /** A value for JSON.stringify. */
  write(message: object): JsonObject {
    const json: JsonObject = {};
    for (const write of this.#members) write(message as JsonObject, json);
    return json;
  }
}

function memberWriter(member: DescMessage['members'][number]): WriteMember {
  const { localName } = member;
  if (member.kind === 'oneof') {
    const cases = new Map(
      member.fields.map((field) => [field.localName, { name: field.jsonName, write: valueWriter(field) }]),
    );
    return (message, json) => {
      const chosen = message[localName] as { $case: string; value: unknown } | undefined;
      const field = chosen && cases.get(chosen.$case);
      if (field) json[field.name] = field.write(chosen.value);
    };
  }
  const { jsonName } = member;
  const write = valueWriter(member);
  if (write === asIs) {
    return (message, json) => {
      json[jsonName] = message[localName]; // JSON.stringify leaves undefined out
    };
  }
  return (message, json) => {
    const value = message[localName];
    if (value !== undefined) json[jsonName] = write(value);
  };
}

function valueWriter(field: DescField): WriteValue {
  if (field.fieldKind === 'list') {
    const write = elementWriter(field.listKind, field);
    return write === asIs ? asIs : (value) => (value as unknown[]).map(write);
  }
  if (field.fieldKind === 'map') {
    const write = elementWriter(field.mapKind, field);
    return (value) => Object.fromEntries(Object.entries(value as JsonObject).map(([key, item]) => [key, write(item)]));
  }
  return elementWriter(field.fieldKind, field);
}

function elementWriter(kind: 'scalar' | 'enum' | 'message', field: DescField): WriteValue {
  if (kind === 'scalar') {
    if (field.scalar === ScalarType.BYTES) return writeBytes;
    return field.scalar === ScalarType.DOUBLE || field.scalar === ScalarType.FLOAT ? writeFloat : asIs;
  }
  if (kind === 'enum' || !field.message) return asIs;
  if (field.message.typeName === 'google.protobuf.Timestamp') return (value) => (value as Date).toISOString();
  const writer = MessageWriter.of(field.message);
  return (value) => writer.write(value as object);
}
