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
import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
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

/** A small call that goes client → Bay → Ship over two mux hops, against one plain unary hop of grpc-js. */
export async function echo(system: System, rounds: number): Promise<Row> {
  const folder = mkdtempSync(path.join(system.bay.folder, 'bench-'));
  const address = `unix:${path.join(folder, 's')}`;
  const child: ChildProcess = fork(import.meta.filename, [address], { execArgv: process.execArgv });
  await within('the server of the reference', new Promise((resolve) => child.once('message', resolve)));
  const Client = makeGenericClientConstructor(service, 'Echo');
  const client = new Client(address, credentials.createInsecure()) as unknown as {
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
  try {
    const kernel = { shipId: system.shipId, sessionId: system.session };
    const ours = () => block(() => system.executions.getKernel(kernel));
    const reference = () =>
      block(
        () =>
          new Promise<void>((resolve, reject) => client.echo(payload, (error) => (error ? reject(error) : resolve()))),
      );
    const result = await interleave(rounds, ours, reference, WARM_UP_ROUNDS);
    return ratioRow(
      'a call through Bay and Ship over mux / one grpc-js unary',
      '≤ 0.8',
      result,
      (value) => `${(value * 1000).toFixed(0)} µs`,
    );
  } finally {
    client.close();
    child.kill();
    rmSync(folder, { recursive: true });
  }
}

if (process.argv[1] === import.meta.filename) {
  const server = new Server();
  server.addService(service, {
    echo: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => done(null, call.request),
  });
  server.bindAsync(process.argv[2] ?? '', ServerCredentials.createInsecure(), () => process.send?.('ready'));
  process.once('disconnect', () => process.exit(0));
}
