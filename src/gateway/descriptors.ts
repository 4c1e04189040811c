/** The protos at run time: what the JSON rules, the routes and the OpenAPI page are made from. */
import { readFile } from 'node:fs/promises';
import {
  createFileRegistry,
  fromBinary,
  type DescEnum,
  type DescEnumValue,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescMethod,
  type DescOneof,
  type DescService,
  type FileRegistry,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

/** Numbers of the fields in descriptor.proto that lead to an element, as SourceCodeInfo counts its paths. */
const FILE_MESSAGE = 4;
const FILE_ENUM = 5;
const FILE_SERVICE = 6;
const MESSAGE_FIELD = 2;
const MESSAGE_NESTED = 3;
const MESSAGE_ENUM = 4;
const MESSAGE_ONEOF = 8;
const ENUM_VALUE = 2;
const SERVICE_METHOD = 2;

type Described = DescMessage | DescField | DescOneof | DescEnum | DescEnumValue | DescService | DescMethod;

export class Descriptors {
  readonly #registry: FileRegistry;
  readonly #comments = new Map<string, string>();

  /** @param set a binary FileDescriptorSet with source info, as `npm run gen` makes it */
  constructor(set: Uint8Array) {
    this.#registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, set));
    for (const file of this.#registry.files) this.#readComments(file);
  }

  message(typeName: string): DescMessage {
    const found = this.#registry.getMessage(typeName);
    if (!found) throw new Error(`the descriptors do not hold message ${typeName}: run npm run gen`);
    return found;
  }

  service(typeName: string): DescService {
    const found = this.#registry.getService(typeName);
    if (!found) throw new Error(`the descriptors do not hold service ${typeName}: run npm run gen`);
    return found;
  }

  /** The proto's comment on an element, unwrapped to paragraphs; empty where it has none. */
  comment(element: Described): string {
    return this.#comments.get(keyOf(element)) ?? '';
  }

  #readComments(file: DescFile): void {
    for (const { path, leadingComments } of file.proto.sourceCodeInfo?.location ?? []) {
      if (leadingComments) this.#comments.set(`${file.proto.name}:${path.join('.')}`, unwrap(leadingComments));
    }
  }
}

/** Reads the descriptor set that lies beside the built program, or that `npm run gen` left in the sources. */
export async function readDescriptors(): Promise<Descriptors> {
  const places = ['./descriptors.binpb', '../../proto/gen/descriptors.binpb'];
  for (const place of places) {
    const bytes = await readFile(new URL(place, import.meta.url)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (bytes) return new Descriptors(bytes);
  }
  throw new Error('descriptors.binpb is missing: run npm run gen');
}

function keyOf(element: Described): string {
  return `${fileOf(element).proto.name}:${pathOf(element).join('.')}`;
}

function fileOf(element: Described): DescFile {
  switch (element.kind) {
    case 'message':
    case 'enum':
    case 'service':
      return element.file;
    default:
      return element.parent.file;
  }
}

function pathOf(element: Described): number[] {
  switch (element.kind) {
    case 'message':
      return element.parent
        ? [...pathOf(element.parent), MESSAGE_NESTED, element.parent.proto.nestedType.indexOf(element.proto)]
        : [FILE_MESSAGE, element.file.proto.messageType.indexOf(element.proto)];
    case 'enum':
      return element.parent
        ? [...pathOf(element.parent), MESSAGE_ENUM, element.parent.proto.enumType.indexOf(element.proto)]
        : [FILE_ENUM, element.file.proto.enumType.indexOf(element.proto)];
    case 'service':
      return [FILE_SERVICE, element.file.proto.service.indexOf(element.proto)];
    case 'enum_value':
      return [...pathOf(element.parent), ENUM_VALUE, element.parent.proto.value.indexOf(element.proto)];
    case 'rpc':
      return [...pathOf(element.parent), SERVICE_METHOD, element.parent.proto.method.indexOf(element.proto)];
    case 'field':
      return [...pathOf(element.parent), MESSAGE_FIELD, element.parent.proto.field.indexOf(element.proto)];
    case 'oneof':
      return [...pathOf(element.parent), MESSAGE_ONEOF, element.parent.proto.oneofDecl.indexOf(element.proto)];
  }
}

/** Lines of one paragraph are one line, as Markdown wants them. */
function unwrap(comment: string): string {
  return comment
    .split('\n')
    .map((line) => line.trim())
    .join('\n')
    .trim()
    .replace(/(\S)\n(?=\S)/g, '$1 ');
}
