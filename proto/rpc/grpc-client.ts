/**
 * Calls as gRPC calls on a channel of their own: for uploads and downloads, which are too large for the mux, and for
 * whatever speaks to a server without one.
 */
import {
  Client,
  credentials as grpcCredentials,
  type ChannelCredentials,
  type ClientReadableStream,
  type ClientWritableStream,
  type ServiceError,
} from '@grpc/grpc-js';
import { abandonable } from './abandonable.js';
import { Abortable } from './abortable.js';
import { abortReason, deadlineExceeded } from './call.js';
import type { Cancellation } from './cancellation.js';
import type { Transport } from './client.js';
import type { CallOptions } from './definition.js';
import { fromServiceError, identity, toChannelOptions, toMetadata } from './grpc-common.js';
import { ByteWriter } from './byte-writer.js';
import type { Method } from './service.js';
import { StatusError } from './status-error.js';

export interface GrpcChannelOptions {
  /** Default: without TLS. */
  readonly credentials?: ChannelCredentials;
  /** The name that the server's certificate must bear, where it is not the address's. */
  readonly serverName?: string;
  /** Sent with every call; a call's own metadata win. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface GrpcTransport extends Transport {
  /** Ends the channel; calls in progress fail. */
  close(): void;
}

const NO_OPTIONS: CallOptions = {};

/**
 * Opens a channel with its own HTTP/2 connection, made with the first call.
 *
 * @param address "host:port" or "unix:/path"
 */
export function openGrpcChannel(address: string, options: GrpcChannelOptions = {}): GrpcTransport {
  const client = new Client(
    address,
    abandonable(options.credentials ?? grpcCredentials.createInsecure()),
    toChannelOptions(options.serverName),
  );
  const withDefaults = (own: CallOptions): CallOptions => {
    if (own.signal?.aborted) throw abortReason(own.signal);
    if (own.timeoutMs !== undefined && own.timeoutMs < 0) throw deadlineExceeded();
    return options.metadata ? { ...own, metadata: { ...options.metadata, ...own.metadata } } : own;
  };
  return {
    unary: async (method, request, callOptions = NO_OPTIONS) =>
      unary(client, method, request, withDefaults(callOptions)),
    stream: (method, request, callOptions = NO_OPTIONS) =>
      // A generator, so that the call begins with the first next().
      (async function* () {
        yield* stream(client, method, request, withDefaults(callOptions));
      })(),
    close: () => client.close(),
  };
}

/** grpc-js keeps the deadline too; ours names the reason. */
function toGrpcOptions({ timeoutMs }: CallOptions): { deadline?: number } {
  return timeoutMs ? { deadline: Date.now() + Math.ceil(timeoutMs) } : {};
}

function unary(client: Client, method: Method, request: unknown, options: CallOptions): Promise<unknown> {
  const { signal } = options;
  const metadata = toMetadata(options.metadata);
  const grpcOptions = toGrpcOptions(options);
  return new Promise((resolve, reject) => {
    let requests: RequestPump | undefined;
    const settle = (error: StatusError | undefined, answer?: Buffer): void => {
      signal?.removeEventListener('abort', onAbort);
      requests?.abort(error ?? CALL_OVER);
      if (error) reject(error);
      else resolveDecoded(method, answer as Buffer, resolve, reject);
    };
    const onAnswer = (error: ServiceError | null, answer?: Buffer): void =>
      settle(error ? fromServiceError(error) : undefined, answer);
    const writable = method.requestStream
      ? client.makeClientStreamRequest(method.path, identity, identity, metadata, grpcOptions, onAnswer)
      : undefined;
    const call =
      writable ??
      client.makeUnaryRequest(
        method.path,
        identity,
        identity,
        method.encodeRequest(request),
        metadata,
        grpcOptions,
        onAnswer,
      );
    const fail = (error: StatusError): void => {
      settle(error);
      call.cancel();
    };
    const onAbort = (): void => fail(abortReason(signal as Cancellation));
    signal?.addEventListener('abort', onAbort, { once: true });
    if (writable) {
      requests = new RequestPump(method, request as AsyncIterable<unknown>, writable);
      requests.run(fail);
    }
  });
}

async function* stream(
  client: Client,
  method: Method,
  request: unknown,
  options: CallOptions,
): AsyncGenerator<unknown> {
  const { signal } = options;
  const metadata = toMetadata(options.metadata);
  const grpcOptions = toGrpcOptions(options);
  const duplex = method.requestStream
    ? client.makeBidiStreamRequest(method.path, identity, identity, metadata, grpcOptions)
    : undefined;
  const call: ClientReadableStream<Buffer> =
    duplex ??
    client.makeServerStreamRequest(
      method.path,
      identity,
      identity,
      method.encodeRequest(request),
      metadata,
      grpcOptions,
    );
  const answers = new Abortable(call.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>);
  const requests = duplex && new RequestPump(method, request as AsyncIterable<unknown>, duplex);
  let failure: StatusError | undefined;
  // What arrived before the peer's failure is still to be read; the iteration then throws the same failure.
  call.on('error', (error: ServiceError) => (failure ??= fromServiceError(error)));
  const fail = (error: StatusError): void => {
    failure ??= error;
    answers.abort(failure);
    call.cancel();
  };
  const onAbort = (): void => fail(abortReason(signal as Cancellation));
  signal?.addEventListener('abort', onAbort, { once: true });
  requests?.run(fail);
  try {
    for await (const answer of answers) yield method.decodeResponse(answer);
  } catch (thrown) {
    throw failure ?? StatusError.from(thrown);
  } finally {
    signal?.removeEventListener('abort', onAbort);
    requests?.abort(CALL_OVER);
    failure ??= CALL_OVER;
    call.cancel(); // does nothing where the call has ended
  }
}

const CALL_OVER = new StatusError('CANCELLED', 'the call is over');

/** Sends what the caller's iterable yields, as fast as the peer takes it. */
class RequestPump {
  readonly #method: Method;
  readonly #requests: Abortable<unknown>;
  readonly #call: ClientWritableStream<Buffer>;
  readonly #writer: ByteWriter;
  #over = false;

  constructor(method: Method, requests: AsyncIterable<unknown>, call: ClientWritableStream<Buffer>) {
    this.#method = method;
    this.#requests = new Abortable(requests);
    this.#call = call;
    this.#writer = new ByteWriter(call);
  }

  /** @param fail hears what the iterable itself threw */
  run(fail: (error: StatusError) => void): void {
    this.#sendAll().catch((thrown: unknown) => {
      if (!this.#over) fail(StatusError.from(thrown));
    });
  }

  abort(reason: StatusError): void {
    this.#over = true;
    this.#requests.abort(reason);
    this.#writer.abort(reason);
  }

  async #sendAll(): Promise<void> {
    for await (const request of this.#requests) {
      const wait = this.#writer.write(this.#method.encodeRequest(request));
      if (wait) await wait;
    }
    this.#call.end();
  }
}

function resolveDecoded(
  method: Method,
  answer: Buffer,
  resolve: (value: unknown) => void,
  reject: (reason: StatusError) => void,
): void {
  try {
    resolve(method.decodeResponse(answer));
  } catch (thrown) {
    reject(new StatusError('INTERNAL', 'malformed answer', { cause: thrown }));
  }
}
