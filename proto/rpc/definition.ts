/**
 * What the kit needs to know of a service, derived from ts-proto's generic definitions, and the shapes of a service's
 * implementation and of its client. A service is implemented once, as a plain object of functions; transports are
 * generic over it.
 */
import type { Cancellation } from './cancellation.js';
import type { MessageFns } from './message.js';

export interface MethodDefinitionLike {
  readonly name: string;
  readonly requestType: MessageFns<any>; // eslint-disable-line @typescript-eslint/no-explicit-any -- the variance of a codec
  readonly requestStream: boolean;
  readonly responseType: MessageFns<any>; // eslint-disable-line @typescript-eslint/no-explicit-any -- the variance of a codec
  readonly responseStream: boolean;
  readonly options: { readonly _unknownFields?: Readonly<Record<number, readonly Uint8Array[]>> };
}

export interface ServiceDefinitionLike {
  readonly name: string;
  readonly fullName: string;
  readonly methods: Readonly<Record<string, MethodDefinitionLike>>;
}

export interface CallContext {
  /** "/package.Service/Method". */
  readonly method: string;
  /** Aborts when the caller leaves, cancels, the call's deadline passes or the server stops; its reason is a StatusError. */
  readonly signal: AbortSignal;
  /** The same without the cost of an AbortSignal, which is made when somebody asks for it. */
  readonly cancellation: Cancellation;
  /** Lower-case keys. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Where the call came from, for the log: "grpc 127.0.0.1:4711", "mux …", "http …", "in-process". */
  readonly peer: string;
  /** Monotonic, as performance.now(); undefined where the call has no deadline of its own. */
  readonly deadlineMs?: number | undefined;
}

export interface CallOptions {
  readonly signal?: Cancellation;
  readonly timeoutMs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
  /** What the callee's context names as peer; for the in-process transport alone, where the gateway speaks for others. */
  readonly peer?: string;
}

type RequestOf<M extends MethodDefinitionLike> = M['requestType'] extends MessageFns<infer T> ? T : never;
type ResponseOf<M extends MethodDefinitionLike> = M['responseType'] extends MessageFns<infer T> ? T : never;

/**
 * Methods whose answers pass as encoded bytes on both sides of the kit, so that Bay forwards what Ship encoded without
 * looking at it: the streams of execution events and of file contents.
 */
export const RAW_RESPONSE_METHODS = ['startExecution', 'attachExecution', 'download'] as const;
export type RawResponseMethod = (typeof RAW_RESPONSE_METHODS)[number];

type StreamedResponse<K, M extends MethodDefinitionLike> = K extends RawResponseMethod ? Uint8Array : ResponseOf<M>;

/** A service as its author writes it. */
export type Implementation<S extends ServiceDefinitionLike> = {
  [K in keyof S['methods']]: S['methods'][K] extends infer M extends MethodDefinitionLike
    ? M['requestStream'] extends true
      ? M['responseStream'] extends true
        ? (requests: AsyncIterable<RequestOf<M>>, ctx: CallContext) => AsyncIterable<StreamedResponse<K, M>>
        : (requests: AsyncIterable<RequestOf<M>>, ctx: CallContext) => Promise<ResponseOf<M>>
      : M['responseStream'] extends true
        ? (request: RequestOf<M>, ctx: CallContext) => AsyncIterable<StreamedResponse<K, M>>
        : (request: RequestOf<M>, ctx: CallContext) => Promise<ResponseOf<M>>
    : never;
};

/** The same service as its caller sees it. A stream fails by throwing a StatusError out of the iteration. */
export type Client<S extends ServiceDefinitionLike> = {
  [K in keyof S['methods']]: S['methods'][K] extends infer M extends MethodDefinitionLike
    ? M['requestStream'] extends true
      ? M['responseStream'] extends true
        ? (requests: AsyncIterable<RequestOf<M>>, options?: CallOptions) => AsyncIterable<StreamedResponse<K, M>>
        : (requests: AsyncIterable<RequestOf<M>>, options?: CallOptions) => Promise<ResponseOf<M>>
      : M['responseStream'] extends true
        ? (request: RequestOf<M>, options?: CallOptions) => AsyncIterable<StreamedResponse<K, M>>
        : (request: RequestOf<M>, options?: CallOptions) => Promise<ResponseOf<M>>
    : never;
};
