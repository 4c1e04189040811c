import { Ajv2020 } from 'ajv/dist/2020.js';
import { BayServiceDefinition } from '../../proto/gen/shipyard/bay/v1/bay.js';
import { ExecutionServiceDefinition } from '../../proto/gen/shipyard/execution/v1/execution_service.js';
import { FileServiceDefinition } from '../../proto/gen/shipyard/execution/v1/file_service.js';
import type { ServiceDefinitionLike } from '../../proto/rpc/definition.js';
import type { MessageFns } from '../../proto/rpc/message.js';
import { startHttpServer, type HttpServer } from './http-server.js';
import { MessageReader } from './json/message-reader.js';
import { SchemaSet } from './json/schema.js';
import { Violations } from './json/violations.js';
import type { OpenApiDocument, Operation } from './openapi.js';
import { routesOf } from './rpc-route.js';
import { HttpClient } from './testing/http-client.js';
import { testDescriptors, testGateway } from './testing/test-gateway.js';

const descriptors = await testDescriptors();
const services = [BayServiceDefinition, ExecutionServiceDefinition, FileServiceDefinition];
const routes = services.flatMap((service) => routesOf(service, descriptors));

let server: HttpServer;
let http: HttpClient;
let document: OpenApiDocument;
beforeAll(async () => {
  const documented = {
    paths: { '/ship': { post: { responses: { '201': { description: 'Created' } } } } },
    schemas: { ShipResponse: { type: 'object' } },
    register: () => undefined,
  };
  const { deps } = await testGateway({}, { documented });
  server = await startHttpServer(deps);
  http = new HttpClient(server.port);
  document = (await http.send('/openapi.json')).json();
});
afterAll(async () => {
  http.close();
  await server.stop({ drainMs: 0 });
});

describe('/openapi.json', () => {
  it('has every route of the protos, the files, the documented routes and the server', () => {
    expect(document).toMatchObject({ openapi: '3.1.0', info: { title: 'Bay API', version: '1.2.3' } });
    const operations = Object.values(document.paths).flatMap((item) => Object.values(item));
    const ids = operations.map(({ operationId }) => operationId).filter(Boolean);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining([...routes.map(({ name }) => name), 'upload', 'download', 'ready']));
    expect(document.paths['/ship']).toHaveProperty('post');
    expect(document.components.schemas).toHaveProperty('ShipResponse');
  });

  it('is sound: references lead somewhere, paths name their parameters, schemas compile', () => {
    const text = JSON.stringify(document);
    for (const [, name = ''] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      expect(document.components.schemas).toHaveProperty([name]);
    }
    for (const [path, item] of Object.entries(document.paths)) {
      const variables = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
      for (const operation of Object.values(item)) {
        const named = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
        if (path.startsWith('/v1')) expect(named.map(({ name }) => name)).toEqual(variables);
        expect(Object.keys(operation.responses).length).toBeGreaterThan(0);
      }
    }
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    ajv.addSchema({ $id: 'doc', components: document.components });
    for (const name of Object.keys(document.components.schemas)) {
      expect(ajv.getSchema(`doc#/components/schemas/${name}`)).toBeDefined();
    }
  });

  it('says what the protos say', () => {
    const start = document.paths['/v1/ships/{shipId}/executions']?.['post'] as Operation;
    expect(start.description).toMatch(/^Starts the work, or finds the execution of that id/);
    expect(start.parameters?.map(({ name }) => name)).toEqual(['shipId', 'X-SESSION-ID', 'Last-Event-ID']);
    expect(start.responses['429']?.description).toBe('SESSION_QUEUE_FULL');
    expect(Object.keys((start.responses['200'] as { content: object }).content)).toEqual([
      'application/x-ndjson',
      'text/event-stream',
    ]);
    const { Cause, ShellCommand } = document.components.schemas;
    expect(Cause?.['description']).toContain('- `CAUSE_DEADLINE`: timeout_ms or queue_timeout_ms passed.');
    expect(ShellCommand).toMatchObject({
      properties: { env: { type: 'object', description: "Added to the session's environment." } },
      additionalProperties: false,
    });
  });

  it('leaves out of a body what comes by the path and the header', () => {
    const run = document.paths['/v1/ships/{shipId}/executions:run']?.['post'] as Operation;
    const body = run.requestBody as {
      content: Record<string, { schema: { properties: { start: { properties: object } } } }>;
    };
    const { properties } = body.content['application/json']?.schema.properties.start ?? { properties: {} };
    expect(Object.keys(properties)).not.toContain('shipId');
    expect(Object.keys(properties)).not.toContain('sessionId');
    expect(Object.keys(properties)).toContain('executionId');
  });
});

describe('the published schemas', () => {
  const schemas = new SchemaSet(
    descriptors,
    routes.map(({ descriptor }) => descriptor.input),
  );
  const type = descriptors.message('shipyard.execution.v1.StartExecutionRequest');
  const reference = schemas.reference(type);
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  const validate = ajv.compile({ ...reference, components: { schemas: schemas.schemas } });
  const read = (json: unknown) => {
    const violations = new Violations();
    MessageReader.of(type).read(json, '', { place: 'body', violations });
    return !violations.any;
  };

  it.each<[unknown, boolean]>([
    [{}, true],
    [{ timeoutMs: 5, lifetime: 'LIFETIME_CALL', cell: { code: 'x', silent: true } }, true],
    [{ command: { argv: ['a'], env: { A: 'b' } } }, true],
    [{ terminal: { size: { columns: 80, rows: 24 } } }, true],
    [{ timeoutMs: 1.5 }, false],
    [{ timeoutMs: 2 ** 60 }, false],
    [{ lifetime: 'X' }, false],
    [{ colour: 1 }, false],
    [{ cell: {}, command: {} }, false],
    [{ cell: { cod: 1 } }, false],
    [{ command: { argv: [1] } }, false],
    [{ command: { env: { A: null } } }, false],
    [{ terminal: { size: { columns: -1 } } }, false],
    [{ executionId: 5 }, false],
    [[], false],
    ['text', false],
    [null, false],
  ])('admit what the reader admits: %j', (json, admitted) => {
    expect(validate(json)).toBe(admitted);
    expect(read(json)).toBe(admitted);
  });
});

describe('the reader', () => {
  const messages = services.flatMap((service: ServiceDefinitionLike) => {
    const { methods } = descriptors.service(service.fullName);
    return Object.values(service.methods).map(({ name, requestType }) => {
      const codec = requestType as MessageFns<object>;
      return { name, codec, input: methods.find((method) => method.name === name)?.input };
    });
  });

  it.each(messages)('makes for $name the empty message that ts-proto makes', ({ codec, input }) => {
    if (!input) throw new Error('not in the descriptors');
    const made = MessageReader.of(input).empty();
    const expected = codec.decode(new Uint8Array());
    expect(made).toEqual(expected);
    expect(Object.keys(made).sort()).toEqual(Object.keys(expected).sort());
  });
});

describe('the API pages', () => {
  it.each(['/docs', '/redoc'])('%s comes from this server alone', async (path) => {
    const { status, headers, text } = await http.send(path);
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    expect(headers['content-security-policy']).toMatch(/default-src 'none'/);
    expect(headers['content-security-policy']).not.toMatch(/https?:|script-src[^;]*unsafe/);
    expect(text).not.toMatch(/(src|href)="(https?:)?\/\//);
    for (const [, asset = ''] of text.matchAll(/(?:src|href)="([^"#]+)"/g)) {
      expect((await http.send(`/${asset}`)).status).toBe(200);
    }
  });

  it('/redoc tells every operation', async () => {
    const { text } = await http.send('/redoc');
    expect(text).toContain('/v1/ships/{shipId}/executions:run');
    expect(text).toContain('Starts the work, or finds the execution of that id');
  });
});
