/** The OpenAPI 3.1 document: /v1 from the protos, and the documented routes as their author describes them. */
import type { DescMessage } from '@bufbuild/protobuf';
import { status as grpcStatus } from '@grpc/grpc-js';
import { REASONS, type Reason } from '../../proto/rpc/reasons.js';
import type { Descriptors } from './descriptors.js';
import { FILE_CONTENT_TEMPLATE } from './files/file-routes.js';
import { SchemaSet, type Schema } from './json/schema.js';
import { queryFields } from './query.js';
import type { RpcRoute } from './rpc-route.js';

export interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema?: Schema;
}

export interface Operation {
  readonly operationId?: string;
  readonly tags?: readonly string[];
  readonly summary?: string;
  readonly description?: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: Schema;
  readonly responses: Readonly<Record<string, { readonly description?: string; readonly [key: string]: unknown }>>;
  readonly security?: readonly Schema[];
  readonly [key: string]: unknown;
}

/** By path, then by method in lower case. */
export type OpenApiPaths = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

export interface OpenApiDocument {
  readonly openapi: '3.1.0';
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly servers: readonly Schema[];
  readonly tags: readonly Schema[];
  readonly paths: OpenApiPaths;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>>; readonly securitySchemes: Schema };
}

export interface OpenApiSources {
  readonly descriptors: Descriptors;
  readonly routes: readonly RpcRoute[];
  readonly version: string;
  readonly documented?: { readonly paths: object; readonly schemas?: object };
}

const DESCRIPTION = `Sandboxes for AI agents. Every call needs \`Authorization: Bearer <ACCESS_TOKEN>\`.

The routes under \`/v1\` are made from the project's protos. Their JSON has keys in lowerCamelCase; requests may also use the
protos' own spelling. 64-bit numbers are JSON numbers, always below 2^53, and are also taken as strings; bytes are base64;
enums go by name, and are also taken without their prefix; times are RFC 3339. \`null\` is the same as leaving a key out. Unknown
keys are refused.

Streams come as lines of JSON (\`application/x-ndjson\`), or, with \`Accept: text/event-stream\`, as server-sent events, whose
\`id\` is the event's sequence and whose \`event\` is the key that holds what happened. A blank line or a comment every 15 s shows
that the connection lives. A failure after the first byte is the stream's last item: \`{"error": …}\` without a \`sequence\`, or
\`event: error\`. A stream of an execution that stops with neither \`ended\` nor that is broken: attach again behind the last
sequence that arrived, which \`Last-Event-ID\` does.

Every failure is \`{"detail": text, "error": {code, status, reason, message, details}}\`; \`reason\` is from a closed set.`;

const BEARER: Schema[] = [{ bearerAuth: [] }];
const SESSION: Parameter = {
  name: 'X-SESSION-ID',
  in: 'header',
  required: true,
  description: "The session: any text, in UTF-8; the caller's own name for one line of work.",
  schema: { type: 'string' },
};
const JSON_TYPE = 'application/json';

export function buildOpenApi(sources: OpenApiSources): OpenApiDocument {
  const { descriptors, routes } = sources;
  const requests = routes.map((route) => route.descriptor.input);
  const schemas = new SchemaSet(descriptors, requests);
  const paths: Record<string, Record<string, Operation>> = {};
  for (const route of routes) {
    const path = toOpenApiPath(route);
    (paths[path] ??= {})[route.httpMethod.toLowerCase()] = describeRpc(route, descriptors, schemas);
  }
  paths[FILE_CONTENT_TEMPLATE.replace('{ship_id}', '{shipId}')] = describeFileContent(descriptors, schemas);
  const services = [...new Set(routes.map((route) => route.descriptor.parent))];
  return {
    openapi: '3.1.0',
    info: { title: 'Bay API', version: sources.version, description: DESCRIPTION },
    servers: [{ url: './' }],
    tags: services.map((service) => ({ name: service.name, description: descriptors.comment(service) })),
    paths: { ...(sources.documented?.paths as OpenApiPaths | undefined), ...paths, ...SERVER_PATHS },
    components: {
      schemas: {
        ...(sources.documented?.schemas as Record<string, Schema> | undefined),
        ...schemas.schemas,
        Error: ERROR_SCHEMA,
      },
      securitySchemes: { bearerAuth: { type: 'http', scheme: 'bearer' } },
    },
  };
}

function toOpenApiPath(route: RpcRoute): string {
  return route.template.replace(/\{([^}]+)\}/g, (_, variable: string) => `{${parameterName(variable)}}`);
}

/** `start.ship_id` is the parameter shipId. */
function parameterName(variable: string): string {
  const name = variable.split('.').pop() ?? variable;
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function describeRpc(route: RpcRoute, descriptors: Descriptors, schemas: SchemaSet): Operation {
  const { input, parent } = route.descriptor;
  const comment = descriptors.comment(route.descriptor);
  const bound = new Set([...route.variables, ...(route.sessionPath ? [route.sessionPath] : [])]);
  return {
    operationId: route.name,
    tags: [parent.name],
    ...(comment === '' ? {} : { description: comment }),
    parameters: [
      ...route.variables.map(pathParameter),
      ...(route.sessionPath ? [SESSION] : []),
      ...(route.hasBody ? [] : queryParameters(input, bound, schemas, descriptors)),
      ...(isExecutionStream(route) ? [LAST_EVENT_ID] : []),
    ],
    ...(route.hasBody
      ? { requestBody: { required: true, content: { [JSON_TYPE]: { schema: schemas.message(input, bound) } } } }
      : {}),
    responses: {
      ...successes(route, schemas),
      ...failures(`${descriptors.comment(parent)} ${comment}`),
    },
    security: BEARER,
  };
}

function pathParameter(variable: string): Parameter {
  return { name: parameterName(variable), in: 'path', required: true, schema: { type: 'string' } };
}

function queryParameters(
  input: DescMessage,
  bound: ReadonlySet<string>,
  schemas: SchemaSet,
  descriptors: Descriptors,
): Parameter[] {
  return queryFields(input)
    .filter(({ path }) => !bound.has(path))
    .map(({ path, field }) => {
      const { description: _, ...schema } = schemas.field(field);
      const comment = descriptors.comment(field);
      const name = `${path.slice(0, path.lastIndexOf('.') + 1)}${field.jsonName}`;
      return { name, in: 'query', ...(comment === '' ? {} : { description: comment }), schema };
    });
}

const LAST_EVENT_ID: Parameter = {
  name: 'Last-Event-ID',
  in: 'header',
  description:
    'The last sequence that arrived: the answer goes on behind it. A start with it attaches, and never starts anything; ' +
    'it needs the executionId.',
  schema: { type: 'string', pattern: '^[0-9]{1,16}$' },
};

function isExecutionStream(route: RpcRoute): boolean {
  return route.descriptor.output.name === 'ExecutionEvent';
}

function successes(route: RpcRoute, schemas: SchemaSet): Operation['responses'] {
  const schema = schemas.reference(route.descriptor.output);
  if (!route.definition.responseStream) return { '200': { description: 'OK', content: { [JSON_TYPE]: { schema } } } };
  const line = { oneOf: [schema, { $ref: '#/components/schemas/Error' }] };
  const stream = {
    description: 'A stream of messages.',
    content: { 'application/x-ndjson': { schema: line }, 'text/event-stream': { schema: line } },
  };
  if (!isExecutionStream(route)) return { '200': stream };
  return {
    '200': stream,
    '204': { description: 'The execution has ended, and nothing follows the number asked for.' },
  };
}

/** The reasons that a comment names, by the status they come with. */
function failures(comments: string): Operation['responses'] {
  const byStatus = new Map<number, Reason[]>();
  const words = new Set(comments.match(/[A-Z][A-Z_]+/g));
  for (const reason of ['INVALID_ARGUMENT', 'TOKEN_INVALID', 'TOKEN_MISSING', ...words]) {
    if (!isReason(reason)) continue;
    const { http } = REASONS[reason];
    byStatus.set(http, [...new Set([...(byStatus.get(http) ?? []), reason])]);
  }
  const content = { [JSON_TYPE]: { schema: { $ref: '#/components/schemas/Error' } } };
  const named = [...byStatus].sort(([a], [b]) => a - b);
  return {
    ...Object.fromEntries(named.map(([http, reasons]) => [String(http), { description: reasons.join(', '), content }])),
    default: { description: 'Any other failure.', content },
  };
}

function isReason(word: string): word is Reason {
  return Object.hasOwn(REASONS, word);
}

function describeFileContent(descriptors: Descriptors, schemas: SchemaSet): Record<string, Operation> {
  const service = descriptors.service('shipyard.execution.v1.FileService');
  const bytes = {
    'application/octet-stream': { schema: { type: 'string', contentMediaType: 'application/octet-stream' } },
  };
  const operation = (name: 'Upload' | 'Download', input: DescMessage, without: string[]): Operation => {
    const rpc = service.methods.find((method) => method.name === name);
    if (!rpc) throw new Error(`the descriptors do not hold ${name}`);
    const comment = descriptors.comment(rpc);
    return {
      operationId: name.toLowerCase(),
      tags: [service.name],
      description: comment,
      parameters: [
        pathParameter('ship_id'),
        SESSION,
        ...queryParameters(input, new Set(['ship_id', 'session_id', ...without]), schemas, descriptors),
        ...(name === 'Download' ? [RANGE] : []),
      ],
      ...(name === 'Upload' ? { requestBody: { required: true, content: { '*/*': { schema: {} } } } } : {}),
      responses: {
        ...(name === 'Upload'
          ? { '200': { description: 'OK', content: { [JSON_TYPE]: { schema: schemas.reference(rpc.output) } } } }
          : {
              '200': { description: 'The whole file.', content: bytes },
              '206': { description: 'The range asked for.', content: bytes },
              '416': { description: 'Nothing of the range exists.' },
            }),
        ...failures(`${descriptors.comment(service)} ${comment}`),
      },
      security: BEARER,
    };
  };
  const download = descriptors.message('shipyard.execution.v1.DownloadRequest');
  const upload = descriptors.message('shipyard.execution.v1.UploadHeader');
  return { get: operation('Download', download, ['offset', 'length']), put: operation('Upload', upload, []) };
}

const RANGE: Parameter = {
  name: 'Range',
  in: 'header',
  description: 'One range of bytes, as `bytes=0-499`, `bytes=500-` or `bytes=-500`.',
  schema: { type: 'string' },
};

const SERVER_PATHS: OpenApiPaths = {
  '/ready': {
    get: {
      operationId: 'ready',
      tags: ['Server'],
      description:
        'Whether Bay can make ships now: its database and the disk of ships take something, and the engine of ships answers. /health says only that Bay runs. Needs no token.',
      responses: { '200': { description: 'Ready.' }, '503': { description: 'Not ready; the body says why.' } },
      security: [],
    },
  },
};

const ERROR_SCHEMA: Schema = {
  type: 'object',
  description: 'A failure. As the last item of a stream it has `error` alone.',
  required: ['error'],
  properties: {
    detail: { description: 'The message, for people.' },
    error: {
      type: 'object',
      required: ['code', 'status', 'reason', 'message', 'details'],
      properties: {
        code: { type: 'string', description: 'gRPC code.', enum: codeNames() },
        status: { type: 'integer', description: 'HTTP status.' },
        reason: { type: 'string', enum: Object.keys(REASONS) },
        message: { type: 'string' },
        details: { type: 'object', description: 'Facts for programs; which ones depends on the reason.' },
      },
    },
  },
};

function codeNames(): string[] {
  return Object.keys(grpcStatus).filter((name) => Number.isNaN(Number(name)));
}
