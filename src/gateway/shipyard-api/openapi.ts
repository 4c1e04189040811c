/** The documented routes for /openapi.json (OpenAPI 3.1 path objects). */
import { EXEC_MANUAL, execExamples, execManualText } from './exec/manual.js';
import { ship } from './openapi-schemas.js';

const TAG = 'Documented routes';
const SECURITY = [{ bearerAuth: [] }];

const SHIP_ID = { name: 'ship_id', in: 'path', required: true, schema: { type: 'string' } };
const SESSION_ID = {
  name: 'X-SESSION-ID',
  in: 'header',
  required: true,
  description: 'Any text that names the caller; empty is a session too.',
  schema: { type: 'string' },
};

const DETAIL = { type: 'object', required: ['detail'], properties: { detail: { type: 'string' } } };
const VALIDATION = {
  type: 'object',
  required: ['detail'],
  properties: {
    detail: {
      type: 'array',
      items: {
        type: 'object',
        required: ['type', 'loc', 'msg', 'input'],
        properties: {
          type: { type: 'string' },
          loc: { type: 'array', items: { type: ['string', 'integer'] } },
          msg: { type: 'string' },
          input: {},
          ctx: { type: 'object' },
        },
      },
    },
  },
};

const UNAUTHORIZED = {
  '401': answer('The token is wrong.', DETAIL),
  '403': answer('No usable credential came with the request.', DETAIL),
};
const INVALID = { '422': answer('The request is not valid; everything that is wrong is named.', VALIDATION) };
const SHIP_NOT_FOUND = { '404': answer('Ship not found.', DETAIL) };

const status = (properties: readonly string[]) => ({
  type: 'object',
  required: properties,
  properties: Object.fromEntries(properties.map((name) => [name, { type: 'string' }])),
});

/** By path, then by method in lower case. */
export const documentedPaths = {
  '/': { get: open('root', 'A greeting.', status(['status', 'message'])) },
  '/health': {
    get: open('health', 'Whether Bay answers; whether it can serve is told by /ready.', status(['status', 'message'])),
  },
  '/stat': { get: open('stat', 'Service and version.', status(['service', 'version', 'status', 'author'])) },
  '/ships': {
    get: closed('list_ships', 'Running ships, oldest first.', {
      responses: { '200': answer('The ships.', { type: 'array', items: ship }) },
    }),
  },
  '/ship': {
    post: closed('create_ship', 'Finds, restores, joins or makes a ship for the session, and renews its lease.', {
      parameters: [SESSION_ID],
      requestBody: json({
        type: 'object',
        required: ['ttl'],
        additionalProperties: false,
        properties: {
          ttl: { type: 'integer', exclusiveMinimum: 0, description: 'Seconds.' },
          spec: {
            type: ['object', 'null'],
            additionalProperties: false,
            properties: {
              cpus: { type: ['number', 'null'], exclusiveMinimum: 0 },
              memory: {
                type: ['string', 'null'],
                description: 'A whole number, alone (bytes) or followed by k, kb, m, mb, g or gb, or by Ki, Mi or Gi.',
                examples: ['512m'],
              },
            },
          },
          max_session_num: { type: 'integer', exclusiveMinimum: 0, default: 1 },
        },
      }),
      responses: {
        '201': answer('The ship, running.', ship),
        '408': answer('All places stayed taken while the call waited for one.', DETAIL),
        '429': answer('All places are taken; Retry-After says when to come again.', DETAIL),
        '500': answer('The ship cannot be made.', DETAIL),
        '503': answer('The ship could not be made now; Retry-After says when to come again.', DETAIL),
        ...INVALID,
      },
    }),
  },
  '/ship/{ship_id}': {
    get: closed('get_ship', 'A ship, also a stopped one.', {
      parameters: [SHIP_ID],
      responses: { '200': answer('The ship.', ship), ...SHIP_NOT_FOUND },
    }),
    delete: closed('delete_ship', 'Stops and removes a ship, and its files.', {
      parameters: [
        SHIP_ID,
        {
          name: 'keep_workspace',
          in: 'query',
          description: 'Keep the files.',
          schema: { type: 'boolean', default: false },
        },
      ],
      responses: { '204': { description: 'Done.' }, ...SHIP_NOT_FOUND, ...INVALID },
    }),
  },
  '/ship/{ship_id}/exec': {
    post: closed('exec', 'Runs an operation in the ship and waits for its end.', {
      description:
        'The answer of the operation is `data`. `success` says that the ship ran it; how a command or a cell fared is in ' +
        '`data`. For `shell/exec`, `stdout`, `exit_code` and, where the code is not 0, the text of stderr as `error` are ' +
        `repeated beside it; for \`fs/edit_file\`, \`replacements\`. Leaving the request ends the work.\n\n${execManualText()}`,
      parameters: [SHIP_ID, SESSION_ID],
      requestBody: json(
        {
          type: 'object',
          required: ['type'],
          additionalProperties: false,
          properties: {
            type: { type: 'string', examples: Object.keys(EXEC_MANUAL) },
            payload: { type: ['object', 'null'], default: null },
          },
        },
        execExamples(),
      ),
      responses: {
        '200': answer('What the operation answered.', {
          type: 'object',
          required: ['success', 'data', 'error'],
          properties: {
            success: { type: 'boolean' },
            data: { type: ['object', 'null'] },
            error: { type: ['string', 'null'] },
          },
        }),
        '400': answer('The operation failed; the text says why.', DETAIL),
        ...INVALID,
      },
    }),
  },
  '/ship/logs/{ship_id}': {
    get: closed('get_logs', "What the ship's agent and engine wrote; empty for a ship that is unknown or stopped.", {
      parameters: [SHIP_ID],
      responses: { '200': answer('The logs.', status(['logs'])) },
    }),
  },
  '/ship/{ship_id}/extend-ttl': {
    post: closed('extend_ttl', 'Sets the end of the ship to this many seconds from now; can shorten.', {
      parameters: [SHIP_ID],
      requestBody: json({
        type: 'object',
        required: ['ttl'],
        additionalProperties: false,
        properties: { ttl: { type: 'integer', exclusiveMinimum: 0, description: 'Seconds.' } },
      }),
      responses: { '200': answer('The ship.', ship), ...SHIP_NOT_FOUND, ...INVALID },
    }),
  },
  '/ship/{ship_id}/upload': {
    post: closed('upload', 'Writes a file, whole or not at all; missing directories are made.', {
      parameters: [SHIP_ID, SESSION_ID],
      requestBody: {
        required: true,
        content: {
          'multipart/form-data': {
            schema: {
              type: 'object',
              required: ['file', 'file_path'],
              properties: {
                file: { type: 'string', contentMediaType: 'application/octet-stream' },
                file_path: { type: 'string', minLength: 1, description: 'In the workspace.' },
              },
            },
          },
        },
      },
      responses: {
        '200': answer('The file is there.', {
          type: 'object',
          required: ['success', 'message', 'file_path', 'error'],
          properties: {
            success: { type: 'boolean' },
            message: { type: 'string' },
            file_path: { type: ['string', 'null'], description: 'Absolute, as the ship sees it.' },
            error: { type: ['string', 'null'] },
          },
        }),
        '400': answer('The file could not be written.', DETAIL),
        '404': answer('No such ship, or it does not run.', DETAIL),
        '413': answer('The file is larger than MAX_UPLOAD_SIZE.', DETAIL),
        ...INVALID,
      },
    }),
  },
  '/ship/{ship_id}/download': {
    get: closed('download', 'Reads a file.', {
      parameters: [SHIP_ID, SESSION_ID, { name: 'file_path', in: 'query', required: true, schema: { type: 'string' } }],
      responses: {
        '200': {
          description: 'The bytes.',
          content: { 'application/octet-stream': { schema: { contentMediaType: 'application/octet-stream' } } },
        },
        '400': answer('The path is no file, or the file could not be read.', DETAIL),
        '404': answer('No such file; no such ship, or it does not run.', DETAIL),
        ...INVALID,
      },
    }),
  },
};

interface Described {
  readonly description?: string;
  readonly parameters?: readonly object[];
  readonly requestBody?: object;
  readonly responses: object;
}

function closed(operationId: string, summary: string, { responses, ...rest }: Described) {
  return {
    operationId,
    tags: [TAG],
    summary,
    ...rest,
    responses: { ...responses, ...UNAUTHORIZED },
    security: SECURITY,
  };
}

function open(operationId: string, summary: string, schema: object) {
  return { operationId, tags: [TAG], summary, responses: { '200': answer(summary, schema) }, security: [] };
}

function answer(description: string, schema: object) {
  return { description, ...json(schema) };
}

function json(schema: object, examples?: object) {
  return { content: { 'application/json': { schema, ...(examples && { examples }) } } };
}
