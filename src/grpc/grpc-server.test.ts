import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client, credentials } from '@grpc/grpc-js';
import { loadSync, type MethodDefinition, type ServiceDefinition } from '@grpc/proto-loader';
import { service as healthService } from 'grpc-health-check';
import { createClient } from '../../proto/rpc/client.js';
import { openGrpcChannel } from '../../proto/rpc/grpc-client.js';
import { dialMux } from '../../proto/rpc/mux/mux-grpc.js';
import { createRouter } from '../../proto/rpc/router.js';
import { data, Probe, ProbeDefinition } from '../../proto/rpc/testing/probe-service.js';
import { startGrpcServer, type GrpcServer, type GrpcServerOptions } from './grpc-server.js';

const health = healthService as unknown as { readonly Check: MethodDefinition<object, object> };

describe('startGrpcServer', () => {
  let server: GrpcServer | undefined;

  async function start(options: Partial<GrpcServerOptions> = {}): Promise<GrpcServer> {
    const router = createRouter({ services: [[ProbeDefinition, new Probe()]] });
    server = await startGrpcServer({ host: '127.0.0.1', port: 0, router, mux: {}, ...options });
    return server;
  }

  afterEach(() => server?.stop({ drainMs: 20 }));

  it('serves calls one by one and over Connect', async () => {
    const { address } = await start();
    const channel = openGrpcChannel(address);
    expect(await createClient(ProbeDefinition, channel).echo(data('a'))).toEqual(data('a'));
    channel.close();
    const { connection } = await dialMux(address);
    expect(await createClient(ProbeDefinition, connection).echo(data('b'))).toEqual(data('b'));
    connection.close();
  });

  it('names port and variable where the port is in use', async () => {
    const { port } = await start();
    const router = createRouter({ services: [] });
    await expect(startGrpcServer({ host: '127.0.0.1', port, router, mux: {} })).rejects.toThrow(
      `port ${port} is in use: choose another with GRPC_PORT`,
    );
  });

  it('answers health checks, of the whole and of each service, and says when it stops serving', async () => {
    const { address } = await start();
    const check = (service: string): Promise<unknown> => {
      return unary(address, health.Check, { service });
    };
    expect(await check('')).toMatchObject({ status: 'SERVING' });
    expect(await check('probe.ProbeService')).toMatchObject({ status: 'SERVING' });
    await expect(check('unheard.Of')).rejects.toMatchObject({ cause: { code: 5 } });
    server?.setServing(false);
    expect(await check('')).toMatchObject({ status: 'NOT_SERVING' });
  });

  it('lists and describes its services by reflection', async () => {
    const { address } = await start();
    const { listServicesResponse } = await reflect(address, { listServices: '*' });
    const names = listServicesResponse?.service.map(({ name }) => name).sort();
    expect(names).toEqual(['grpc.health.v1.Health', 'shipyard.mux.v1.MuxService']); // ShipService is the ships' own
    for (const fileContainingSymbol of ['shipyard.bay.v1.BayService', ...(names ?? [])]) {
      const files = await reflect(address, { fileContainingSymbol });
      expect(files.fileDescriptorResponse?.fileDescriptorProto.length).toBeGreaterThan(0);
    }
  });

  it('speaks TLS with the files it is given', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'tls-'));
    const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    const request = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
    ];
    await promisify(execFile)('openssl', [...request, '-keyout', keyFile, '-out', certFile, ...subject]);
    const { address } = await start({ tls: { certFile, keyFile } });
    const trusting = credentials.createSsl(await readFile(certFile));
    const { connection } = await dialMux(address, { credentials: trusting });
    expect(await createClient(ProbeDefinition, connection).echo(data('a'))).toEqual(data('a'));
    connection.close();
    await expect(dialMux(address, { credentials: credentials.createSsl() })).rejects.toMatchObject({
      reason: 'SHIP_UNREACHABLE',
    });
    await rm(directory, { recursive: true });
  });

  it('says which TLS file cannot be read', async () => {
    await expect(start({ tls: { certFile: '/nowhere/cert.pem', keyFile: '/nowhere/key.pem' } })).rejects.toThrow(
      '/nowhere/',
    );
  });
});

function unary(address: string, method: MethodDefinition<object, object>, message: object): Promise<object> {
  const client = new Client(address, credentials.createInsecure());
  return new Promise<object>((resolve, reject) => {
    const serialize = (value: object): Buffer => method.requestSerialize(value);
    const deserialize = (bytes: Buffer): object => method.responseDeserialize(bytes);
    client.makeUnaryRequest(method.path, serialize, deserialize, message, (error, answer) => {
      if (error) reject(new Error(error.message, { cause: error }));
      else resolve(answer ?? {});
    });
  }).finally(() => client.close());
}

interface ReflectionAnswer {
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Buffer[] };
}

async function reflect(address: string, question: object): Promise<ReflectionAnswer> {
  const proto = new URL(
    '../../node_modules/@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto',
    import.meta.url,
  );
  const definition = loadSync(proto.pathname)['grpc.reflection.v1.ServerReflection'] as ServiceDefinition;
  const method = definition.ServerReflectionInfo;
  if (!method) throw new Error('no reflection');
  const client = new Client(address, credentials.createInsecure());
  const call = client.makeBidiStreamRequest(method.path, method.requestSerialize, method.responseDeserialize);
  try {
    return await new Promise<ReflectionAnswer>((resolve, reject) => {
      call.on('data', (answer: ReflectionAnswer) => resolve(answer));
      call.on('error', reject);
      call.write(question);
    });
  } finally {
    call.end();
    client.close();
  }
}
