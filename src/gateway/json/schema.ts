/** JSON Schema (2020-12) of the protos' messages, as /openapi.json shows them and as the reader takes them. */
import { ScalarType, type DescEnum, type DescField, type DescMessage } from '@bufbuild/protobuf';
import type { Descriptors } from '../descriptors.js';
import { INTEGER_RANGES, isWide } from './scalars.js';

export type Schema = Record<string, unknown>;

/** What a component is called: the message's name with the messages around it, `Ended.Exited`. */
export function schemaName(type: DescMessage | DescEnum): string {
  return type.parent ? `${schemaName(type.parent)}.${type.name}` : type.name;
}

/** Schemas of messages and enums, and, by following what they hold, of all that they need. */
export class SchemaSet {
  readonly #descriptors: Descriptors;
  readonly #schemas = new Map<string, Schema>();
  readonly #requests = new Set<DescMessage>();

  /** @param requests messages whose unknown keys are refused */
  constructor(descriptors: Descriptors, requests: Iterable<DescMessage>) {
    this.#descriptors = descriptors;
    for (const message of requests) this.#close(message);
  }

  get schemas(): Readonly<Record<string, Schema>> {
    return Object.fromEntries([...this.#schemas].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** A reference to the message's schema, which is added with all that it needs. */
  reference(type: DescMessage | DescEnum): Schema {
    const name = schemaName(type);
    if (!this.#schemas.has(name)) {
      this.#schemas.set(name, {}); // before its fields: messages may hold themselves
      this.#schemas.set(name, type.kind === 'enum' ? this.#enum(type) : this.message(type));
    }
    return { $ref: `#/components/schemas/${name}` };
  }

  /** @param without dotted paths of proto names that come by another way (path, header) */
  message(type: DescMessage, without: ReadonlySet<string> = new Set()): Schema {
    const properties: Record<string, Schema> = {};
    for (const field of type.fields) {
      if (without.has(field.name)) continue;
      const inner = new Set([...without].filter((path) => path.startsWith(`${field.name}.`)).map(afterDot));
      properties[field.jsonName] =
        inner.size > 0 && field.message
          ? { ...this.message(field.message, inner), ...describe(this.#descriptors.comment(field)) }
          : this.field(field);
    }
    return {
      type: 'object',
      ...describe(this.#descriptors.comment(type)),
      properties,
      ...exclusions(type),
      ...(this.#requests.has(type) ? { additionalProperties: false } : {}),
    };
  }

  field(field: DescField): Schema {
    const comment = describe(this.#descriptors.comment(field));
    switch (field.fieldKind) {
      case 'list':
        return { type: 'array', items: this.#element(field.listKind, field), ...comment };
      case 'map':
        return { type: 'object', additionalProperties: this.#element(field.mapKind, field), ...comment };
      default:
        return { ...this.#element(field.fieldKind, field), ...comment };
    }
  }

  #element(kind: 'scalar' | 'enum' | 'message', field: DescField): Schema {
    if (kind === 'scalar') return scalarSchema(field.scalar as ScalarType);
    if (kind === 'enum' && field.enum) return this.reference(field.enum);
    if (field.message?.typeName === 'google.protobuf.Timestamp') return { type: 'string', format: 'date-time' };
    return field.message ? this.reference(field.message) : {};
  }

  #enum(type: DescEnum): Schema {
    const meanings = type.values
      .map((value) => ({ name: value.name, comment: this.#descriptors.comment(value) }))
      .filter(({ comment }) => comment !== '')
      .map(({ name, comment }) => `- \`${name}\`: ${comment}`);
    const text = [this.#descriptors.comment(type), meanings.join('\n')].filter((part) => part !== '').join('\n\n');
    return { type: 'string', ...describe(text), enum: type.values.map(({ name }) => name) };
  }

  #close(type: DescMessage): void {
    if (this.#requests.has(type) || type.typeName.startsWith('google.protobuf.')) return;
    this.#requests.add(type);
    for (const field of type.fields) if (field.message) this.#close(field.message);
  }
}

function scalarSchema(type: ScalarType): Schema {
  const range = INTEGER_RANGES[type];
  if (range) return { type: 'integer', format: isWide(type) ? 'int64' : 'int32', minimum: range[0], maximum: range[1] };
  switch (type) {
    case ScalarType.STRING:
      return { type: 'string' };
    case ScalarType.BOOL:
      return { type: 'boolean' };
    case ScalarType.BYTES:
      return { type: 'string', contentEncoding: 'base64' };
    default:
      return { type: 'number', format: 'double' };
  }
}

/** Of a oneof's fields at most one. */
function exclusions(type: DescMessage): Schema {
  const rules: Record<string, Schema> = {};
  for (const { fields } of type.oneofs) {
    if (fields.length < 2) continue;
    for (const field of fields) {
      const others = fields.filter((other) => other !== field).map(({ jsonName }) => [jsonName, false]);
      rules[field.jsonName] = { properties: Object.fromEntries(others) as Schema };
    }
  }
  return Object.keys(rules).length > 0 ? { dependentSchemas: rules } : {};
}

function describe(comment: string): Schema {
  return comment === '' ? {} : { description: comment };
}

function afterDot(path: string): string {
  return path.slice(path.indexOf('.') + 1);
}
