/** A router as grpc-js handlers. Messages pass grpc-js as bytes, so that a malformed one is answered as every other way does. */
import {
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type Metadata,
  type sendUnaryData,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Readable, Writable } from 'node:stream';
import { Abortable } from './abortable.js';
import { ByteWriter } from './byte-writer.js';
import { deadlineExceeded, type Call } from './call.js';
import { fromMetadata, identity, toServiceError } from './grpc-common.js';
import type { Route, Router, StreamHandler, UnaryHandler } from './router.js';
import type { Method, Service } from './service.js';
import { StatusError } from './status-error.js';

export function toGrpcDefinition(service: Service): ServiceDefinition {
  return Object.fromEntries(
    service.methods.map((method) => [
      method.key,
      {
        path: method.path,
        requestStream: method.requestStream,
        responseStream: method.responseStream,
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      },
    ]),
  );
}

export function toGrpcHandlers(service: Service, router: Router): UntypedServiceImplementation {
  return Object.fromEntries(
    service.methods.map((method) => [method.key, toHandler(router, router.route(method.path))]),
  );
}

function toHandler(router: Router, { method, unary, stream }: Route): UntypedServiceImplementation[string] {
  if (unary) return method.requestStream ? clientStreaming(router, method, unary) : single(router, method, unary);
  return method.requestStream ? bidi(router, method, stream) : serverStreaming(router, method, stream);
}

function single(router: Router, method: Method, handler: UnaryHandler): handleUnaryCall<Buffer, Buffer> {
  return (surface, callback) => {
    answerOnce(router, method, surface, callback, (call) => handler(decode(method, surface.request), call.ctx));
  };
}

function clientStreaming(
  router: Router,
  method: Method,
  handler: UnaryHandler,
): handleClientStreamingCall<Buffer, Buffer> {
  return (surface, callback) => {
    const requests = new Abortable(readRequests(method, surface));
    const abort = (reason: StatusError): void => requests.abort(reason);
    answerOnce(router, method, surface, callback, (call) => handler(requests, call.ctx), abort);
  };
}

/** Answers with what the handler gives, or at once with the reason why the call was cancelled. */
function answerOnce(
  router: Router,
  method: Method,
  surface: Surface,
  callback: sendUnaryData<Buffer>,
  serve: (call: Call) => Promise<unknown>,
  abort?: (reason: StatusError) => void,
): void {
  let answered = false;
  const answer = (error: StatusError | undefined, bytes?: Buffer): void => {
    if (answered) return;
    answered = true;
    abort?.(error ?? CALL_OVER);
    if (error) callback(toServiceError(error));
    else callback(null, bytes);
  };
  const run = async (): Promise<Buffer> => {
    const call = begin(router, method, surface);
    call.onCancel = answer;
    try {
      return method.encodeResponse(await serve(call));
    } finally {
      call.end();
    }
  };
  run().then(
    (bytes) => answer(undefined, bytes),
    (thrown: unknown) => answer(StatusError.from(thrown)),
  );
}

function serverStreaming(
  router: Router,
  method: Method,
  handler: StreamHandler,
): handleServerStreamingCall<Buffer, Buffer> {
  return (surface) => {
    const serve = async (): Promise<void> => {
      const request = decode(method, surface.request);
      const call = begin(router, method, surface);
      await writeAnswers(method, surface, call, () => handler(request, call.ctx));
    };
    serve().then(
      () => surface.end(),
      (thrown: unknown) => surface.emit('error', toServiceError(thrown)),
    );
  };
}

function bidi(router: Router, method: Method, handler: StreamHandler): handleBidiStreamingCall<Buffer, Buffer> {
  return (surface) => {
    const serve = async (): Promise<void> => {
      const call = begin(router, method, surface);
      const requests = new Abortable(readRequests(method, surface));
      try {
        await writeAnswers(
          method,
          surface,
          call,
          () => handler(requests, call.ctx),
          (reason) => requests.abort(reason),
        );
      } finally {
        requests.abort(CALL_OVER);
      }
    };
    serve().then(
      () => surface.end(),
      (thrown: unknown) => surface.emit('error', toServiceError(thrown)),
    );
  };
}

const CALL_OVER = new StatusError('CANCELLED', 'the call is over');

interface Surface {
  readonly metadata: Metadata;
  getPeer(): string;
  getDeadline(): Date | number;
  on(event: 'cancelled', listener: () => void): unknown;
}

function begin(router: Router, method: Method, surface: Surface): Call {
  const deadline = surface.getDeadline();
  const atMs = deadline instanceof Date ? deadline.getTime() : deadline;
  // A deadline that has passed is a negative rest and not 0, which means none.
  const restMs = Number.isFinite(atMs) ? atMs - Date.now() || -1 : undefined;
  const call = router.begin(method, {
    metadata: fromMetadata(surface.metadata),
    peer: `grpc ${toPeer(surface)}`,
    timeoutMs: restMs,
  });
  // grpc-js ends a call itself when its deadline passes, and then says the same as for a caller who left.
  surface.on('cancelled', () => {
    call.cancel(
      atMs - Date.now() <= DEADLINE_TOLERANCE_MS
        ? deadlineExceeded()
        : new StatusError('CANCELLED', 'the caller cancelled the call'),
    );
  });
  return call;
}

/** The caller's timer of the same deadline fires before ours: by the time that the call took to arrive. */
const DEADLINE_TOLERANCE_MS = 50;

/** grpc-js knows no address of a peer on a unix socket. */
export function toPeer(surface: { getPeer(): string }): string {
  const peer = surface.getPeer();
  return peer === 'unknown' ? 'unix' : peer;
}

async function* readRequests(method: Method, surface: Readable): AsyncGenerator<unknown> {
  // Destroying a duplex when its reader leaves would take the answer along.
  for await (const bytes of surface.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    yield decode(method, bytes);
  }
}

async function writeAnswers(
  method: Method,
  surface: Writable,
  call: Call,
  open: () => AsyncIterable<unknown>,
  onCancel?: (reason: StatusError) => void,
): Promise<void> {
  const writer = new ByteWriter(surface);
  let answers: Abortable<unknown> | undefined;
  call.onCancel = (reason) => {
    onCancel?.(reason);
    writer.abort(reason);
    answers?.abort(reason);
  };
  try {
    answers = new Abortable(open());
    for await (const answer of answers) {
      const wait = writer.write(method.encodeResponse(answer));
      if (wait) await wait;
    }
  } finally {
    call.end();
  }
}

function decode(method: Method, bytes: Buffer): unknown {
  try {
    return method.decodeRequest(bytes);
  } catch (thrown) {
    throw new StatusError('INVALID_ARGUMENT', `malformed message for ${method.path}`, { cause: thrown });
  }
}
