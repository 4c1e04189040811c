import {
  Server,
  ServerCredentials,
  makeGenericClientConstructor,
  credentials,
  type ServiceDefinition,
  type sendUnaryData,
  type ServerUnaryCall,
} from '@grpc/grpc-js';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createClient } from '../../proto/rpc/client.js';
import { dialSocket } from '../../proto/rpc/mux/dial-socket.js';
import type { MuxLink } from '../../proto/rpc/mux/mux-grpc.js';
import { ExecutionServiceDefinition } from '../../proto/gen/shipyard/execution/v1/execution_service.js';
import { interleave, median, ratioRow, type Row } from '../lib/stats.js';
import type { System } from '../lib/system.js';
import { within } from '../lib/within.js';

const identity = (value: Buffer) => value;
const service: ServiceDefinition = {
  echo: {
    path: '/bench.Echo/Echo',
    requestStream: false,
    responseStream: false,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  },
};

/** 3,000 calls a side. */
const WARM_UP_ROUNDS = 10;

/**
 * A small call that goes client → Bay → Ship over two mux hops, against one plain unary hop of grpc-js. Clients reach both
 * over TCP on loopback: Bay by a bare socket and by a gRPC stream, which proxies and other languages may need.
 */
export async function echo(system: System, rounds: number): Promise<Row[]> {
  const child: ChildProcess = fork(import.meta.filename, ['serve'], { execArgv: process.execArgv });
  const [port] = (await within('the server of the reference', once(child, 'message'))) as [number];
  const Client = makeGenericClientConstructor(service, 'Echo');
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure()) as unknown as {
    echo(request: Buffer, done: (error: Error | null, answer: Buffer) => void): void;
    close(): void;
  };
  const payload = Buffer.alloc(80, 'x');
  const block = async (act: () => Promise<unknown>) => {
    const times: number[] = [];
    for (let i = 0; i < 300; i++) {
      const started = performance.now();
      await act();
      times.push(performance.now() - started);
    }
    return median(times);
  };
  const reference = () =>
    block(
      () =>
        new Promise<void>((resolve, reject) => client.echo(payload, (error) => (error ? reject(error) : resolve()))),
    );
  const row = async (name: string, goal: string, { getKernel }: System['executions']) => {
    const ours = () => block(() => getKernel({ shipId: system.shipId, sessionId: system.session }));
    const result = await interleave(rounds, ours, reference, WARM_UP_ROUNDS);
    return ratioRow(`a call through Bay and Ship over ${name} / grpc-js unary`, goal, result, toMicroseconds);
  };
  let link: MuxLink | undefined;
  try {
    link = await dialSocket({ host: '127.0.0.1', port: system.bay.grpcPort }, { token: system.bay.token });
    if (!link) throw new Error('Bay takes no mux on bare sockets');
    return [
      await row('mux', '≤ 0.8', createClient(ExecutionServiceDefinition, link.connection)),
      await row('mux on gRPC', '', system.executions),
    ];
  } finally {
    link?.connection.close();
    client.close();
    child.kill();
  }
}

const toMicroseconds = (ms: number) => `${(ms * 1000).toFixed(0)} µs`;

if (process.argv[1] === import.meta.filename) {
  const server = new Server();
  server.addService(service, {
    echo: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => done(null, call.request),
  });
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_error, port) => process.send?.(port));
  process.once('disconnect', () => process.exit(0));
}
