/**
 * One echo of 80 bytes: client → Bay → Ship over two mux hops, against one plain grpc-js unary hop, in the same run.
 * Each server is a process of its own; blocks alternate, the ratio is taken per round and the median reported.
 *
 * npx tsx bench/rpc-echo.ts [rounds]
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, credentials, Metadata, Server, ServerCredentials } from '@grpc/grpc-js';
import { ErrorInfo } from '../proto/gen/google/rpc/error_details.js';
import { createClient } from '../proto/rpc/client.js';
import type { Implementation } from '../proto/rpc/definition.js';
import { startRpcServer } from '../proto/rpc/grpc-server.js';
import { dialMux } from '../proto/rpc/mux/mux-grpc.js';
import { createRouter } from '../proto/rpc/router.js';

const EchoDefinition = {
  name: 'EchoService',
  fullName: 'bench.EchoService',
  methods: {
    echo: {
      name: 'Echo',
      requestType: ErrorInfo,
      requestStream: false,
      responseType: ErrorInfo,
      responseStream: false,
      options: {},
    },
  },
} as const;

const MESSAGE: ErrorInfo = { reason: 'abcdefgh', domain: 'x'.repeat(68), metadata: {} };
const PLAIN_PATH = '/bench.Plain/Echo';
const BLOCK = 400;

async function main(): Promise<void> {
  const [role, address, upstream] = process.argv.slice(2);
  if (role === 'ship') return serve(address as string, { echo: async (request) => request });
  if (role === 'bay') {
    const ship = await dialMux(upstream as string);
    const client = createClient(EchoDefinition, ship.connection);
    return serve(address as string, { echo: (request, ctx) => client.echo(request, { signal: ctx.signal }) });
  }
  if (role === 'plain') return servePlain(address as string);
  await measure(Number(role ?? 7));
}

async function serve(address: string, echo: Implementation<typeof EchoDefinition>): Promise<void> {
  await startRpcServer({ address, router: createRouter({ services: [[EchoDefinition, echo]] }), mux: {} });
  process.send?.('ready');
}

/** The reference: grpc-js as its documentation shows it. */
function servePlain(address: string): void {
  const server = new Server();
  server.addService(
    {
      echo: {
        path: PLAIN_PATH,
        requestStream: false,
        responseStream: false,
        requestSerialize: toBytes,
        requestDeserialize: (bytes: Buffer) => ErrorInfo.decode(bytes),
        responseSerialize: toBytes,
        responseDeserialize: (bytes: Buffer) => ErrorInfo.decode(bytes),
      },
    },
    {
      echo: (call: { request: ErrorInfo }, callback: (error: null, answer: ErrorInfo) => void) =>
        callback(null, call.request),
    },
  );
  server.bindAsync(address, ServerCredentials.createInsecure(), () => process.send?.('ready'));
}

const toBytes = (message: ErrorInfo): Buffer => Buffer.from(ErrorInfo.encode(message).finish());

async function measure(rounds: number): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'rpc-echo-'));
  const address = (name: string): string => `unix:${join(directory, name)}`;
  const children: ChildProcess[] = [];
  try {
    children.push(await start('ship', address('ship')));
    children.push(await start('bay', address('bay'), address('ship')));
    children.push(await start('plain', address('plain')));
    const bay = await dialMux(address('bay'));
    const direct = await dialMux(address('ship'));
    const plain = new Client(address('plain'), credentials.createInsecure());
    const two = createClient(EchoDefinition, bay.connection);
    const one = createClient(EchoDefinition, direct.connection);
    const ways = {
      'grpc-js unary, 1 hop': () => plainEcho(plain),
      'mux, 1 hop': () => one.echo(MESSAGE),
      'mux, 2 hops': () => two.echo(MESSAGE),
    };
    for (const echo of Object.values(ways)) for (let i = 0; i < 2000; i++) await echo();
    const results = new Map<string, { p50: number[]; all: number[]; rate: number[] }>();
    for (let round = 0; round < rounds; round++) {
      for (const [name, echo] of Object.entries(ways)) {
        const result = results.get(name) ?? { p50: [], all: [], rate: [] };
        results.set(name, result);
        const samples: number[] = [];
        for (let i = 0; i < BLOCK; i++) {
          const start = performance.now();
          await echo();
          samples.push(performance.now() - start);
        }
        result.p50.push(quantile(samples, 0.5));
        result.all.push(...samples);
        result.rate.push(await rate(echo, 32, 300));
      }
    }
    const reference = results.get('grpc-js unary, 1 hop');
    for (const [name, { p50, all, rate: rates }] of results) {
      const ratios = p50.map((value, index) => value / (reference?.p50[index] ?? Number.NaN));
      console.log(
        `${name.padEnd(22)} p50 ${us(quantile(p50, 0.5))} us  p99 ${us(quantile(all, 0.99))} us  ` +
          `ratio ${quantile(ratios, 0.5).toFixed(2)}  ${Math.round(quantile(rates, 0.5))} calls/s at 32`,
      );
    }
    bay.connection.close();
    direct.connection.close();
    plain.close();
  } finally {
    for (const child of children) child.kill();
    await rm(directory, { recursive: true, force: true });
  }
}

async function start(...args: string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), ...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  await once(child, 'message');
  return child;
}

function plainEcho(client: Client): Promise<ErrorInfo> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      PLAIN_PATH,
      toBytes,
      (bytes) => ErrorInfo.decode(bytes),
      MESSAGE,
      new Metadata(),
      {},
      (error, answer) => (error ? reject(error) : resolve(answer as ErrorInfo)),
    );
  });
}

async function rate(echo: () => Promise<unknown>, callers: number, ms: number): Promise<number> {
  const start = performance.now();
  let count = 0;
  const call = async (): Promise<void> => {
    while (performance.now() - start < ms) {
      await echo();
      count++;
    }
  };
  await Promise.all(Array.from({ length: callers }, call));
  return (count / (performance.now() - start)) * 1000;
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

const us = (ms: number): string => (ms * 1000).toFixed(0).padStart(5);

await main();
