/**
 * JSON to ts-proto's messages by the descriptors. ts-proto's own fromJSON forgives everything (unknown keys vanish,
 * "abc" becomes NaN); this refuses what the schema does not allow, and names it.
 */
import { ScalarType, type DescField, type DescMessage } from '@bufbuild/protobuf';
import { enumParser, parseTimestamp, scalarParser, type Parsed } from './scalars.js';
import { kindOf, type Place, type Violations } from './violations.js';

export type Message = Record<string, unknown>;

type Visit = { readonly place: Place; readonly violations: Violations };
type ReadValue = (json: unknown, path: string, visit: Visit) => unknown;

interface CompiledField {
  readonly descriptor: DescField;
  readonly read: ReadValue;
}

export class MessageReader {
  readonly descriptor: DescMessage;
  /** By both spellings: lowerCamelCase and the proto's own. */
  readonly #fields = new Map<string, CompiledField>();
  readonly #allowed: string;

  private constructor(descriptor: DescMessage) {
    this.descriptor = descriptor;
    this.#allowed = descriptor.fields.map(({ jsonName }) => jsonName).join(', ') || 'none';
  }

  static readonly #readers = new WeakMap<DescMessage, MessageReader>();

  static of(descriptor: DescMessage): MessageReader {
    const known = MessageReader.#readers.get(descriptor);
    if (known) return known;
    const reader = new MessageReader(descriptor);
    MessageReader.#readers.set(descriptor, reader); // before its fields: messages may hold themselves
    for (const field of descriptor.fields) {
      const compiled = { descriptor: field, read: fieldReader(field) };
      reader.#fields.set(field.jsonName, compiled).set(field.name, compiled);
    }
    return reader;
  }

  /** The message with nothing set, as ts-proto makes it. */
  empty(): Message {
    const message: Message = {};
    for (const member of this.descriptor.members) {
      message[member.localName] = member.kind === 'oneof' ? undefined : emptyValue(member);
    }
    return message;
  }

  /** Always a whole message; what does not fit is told to `violations` and left out. */
  read(json: unknown, path: string, visit: Visit): Message {
    const message = this.empty();
    if (typeof json !== 'object' || json === null || Array.isArray(json)) {
      visit.violations.add(visit.place, path, `must be an object, not ${kindOf(json)}`);
      return message;
    }
    const seen = new Set<DescField>();
    for (const [key, value] of Object.entries(json)) {
      const field = this.#fields.get(key);
      const at = path === '' ? key : `${path}.${key}`;
      if (!field) visit.violations.add(visit.place, at, `is unknown (allowed: ${this.#allowed})`);
      else if (seen.has(field.descriptor)) visit.violations.add(visit.place, at, 'is given twice, in both spellings');
      else if (value !== null) this.#set(message, field, value, path, visit);
      if (field) seen.add(field.descriptor);
    }
    return message;
  }

  #set(message: Message, { descriptor, read }: CompiledField, json: unknown, path: string, visit: Visit): void {
    const at = path === '' ? descriptor.jsonName : `${path}.${descriptor.jsonName}`;
    const value = read(json, at, visit);
    if (value === undefined) return;
    const { oneof } = descriptor;
    if (!oneof) {
      message[descriptor.localName] = value;
      return;
    }
    if (message[oneof.localName] !== undefined) {
      const names = oneof.fields.map(({ jsonName }) => jsonName).join(', ');
      visit.violations.add(visit.place, at, `is one too many: give only one of ${names}`);
    }
    message[oneof.localName] = { $case: descriptor.localName, value };
  }

  /** The field at a dotted path of proto names, with the reader of the message that holds it. */
  resolve(path: string): { readonly holder: MessageReader; readonly field: DescField } | undefined {
    const dot = path.indexOf('.');
    const field = this.#fields.get(dot < 0 ? path : path.slice(0, dot))?.descriptor;
    if (!field) return undefined;
    if (dot < 0) return { holder: this, field };
    if (field.fieldKind !== 'message') return undefined;
    return MessageReader.of(field.message).resolve(path.slice(dot + 1));
  }

  /** The value at a dotted path of proto names; undefined where a message on the way is unset. */
  get(message: Message, path: string): unknown {
    let value: unknown = message;
    for (const name of path.split('.')) value = (value as Message | undefined)?.[camelCase(name)];
    return value;
  }

  /** Sets a singular field at a dotted path of proto names, making the messages on the way. */
  set(message: Message, path: string, value: unknown): void {
    const dot = path.indexOf('.');
    const name = dot < 0 ? path : path.slice(0, dot);
    const field = this.#fields.get(name)?.descriptor;
    if (!field) throw new Error(`${this.descriptor.typeName} has no field ${name}`);
    if (dot < 0) {
      message[field.localName] = value;
      return;
    }
    if (field.fieldKind !== 'message') throw new Error(`${this.descriptor.typeName}.${name} is no message`);
    const inner = MessageReader.of(field.message);
    const nested = (message[field.localName] ??= inner.empty()) as Message;
    inner.set(nested, path.slice(dot + 1), value);
  }
}

function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function emptyValue(field: DescField): unknown {
  if (field.fieldKind === 'list') return [];
  if (field.fieldKind === 'map') return {};
  if (field.fieldKind === 'message' || field.proto.proto3Optional) return undefined;
  if (field.fieldKind === 'enum') return field.enum.values[0]?.name;
  if (field.scalar === ScalarType.STRING) return '';
  if (field.scalar === ScalarType.BOOL) return false;
  if (field.scalar === ScalarType.BYTES) return Buffer.alloc(0);
  return 0;
}

function fieldReader(field: DescField): ReadValue {
  switch (field.fieldKind) {
    case 'list':
      return listReader(elementReader(field.listKind, field));
    case 'map':
      if (field.mapKey !== ScalarType.STRING) throw new Error(`${String(field)}: only maps by text are supported`);
      return mapReader(elementReader(field.mapKind, field));
    default:
      return elementReader(field.fieldKind, field);
  }
}

function elementReader(kind: 'scalar' | 'enum' | 'message', field: DescField): ReadValue {
  if (kind === 'scalar') return parsedBy(scalarParser(field.scalar as ScalarType));
  if (kind === 'enum' && field.enum) return parsedBy(enumParser(field.enum));
  if (!field.message) throw new Error(`${String(field)} has no message type`);
  const type = field.message;
  if (type.typeName === 'google.protobuf.Timestamp') return parsedBy(parseTimestamp);
  if (type.typeName.startsWith('google.protobuf.'))
    throw new Error(`${String(field)}: ${type.typeName} is not supported`);
  const reader = MessageReader.of(type);
  return (json, path, visit) => reader.read(json, path, visit);
}

function parsedBy(parse: (json: unknown) => Parsed): ReadValue {
  return (json, path, { place, violations }) => {
    const parsed = parse(json);
    if ('value' in parsed) return parsed.value;
    violations.add(place, path, parsed.problem);
    return undefined;
  };
}

function listReader(read: ReadValue): ReadValue {
  return (json, path, visit) => {
    if (!Array.isArray(json)) {
      visit.violations.add(visit.place, path, `must be an array, not ${kindOf(json)}`);
      return undefined;
    }
    return json.map((item, index) => read(item, `${path}[${index}]`, visit));
  };
}

function mapReader(read: ReadValue): ReadValue {
  return (json, path, visit) => {
    if (typeof json !== 'object' || json === null || Array.isArray(json)) {
      visit.violations.add(visit.place, path, `must be an object, not ${kindOf(json)}`);
      return undefined;
    }
    // Without a prototype, so that a key "__proto__" is one like any other.
    const map = Object.create(null) as Record<string, unknown>;
    for (const [key, value] of Object.entries(json)) map[key] = read(value, `${path}[${JSON.stringify(key)}]`, visit);
    return map;
  };
}
