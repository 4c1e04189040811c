/**
 * A service as the transports see it at run time: one table of methods, derived from ts-proto's generic definition, so
 * that paths, kinds, codecs and HTTP bindings are described nowhere but in the .proto file.
 */
import { HttpRule } from '../gen/google/api/http.js';
import { RAW_RESPONSE_METHODS, type MethodDefinitionLike, type ServiceDefinitionLike } from './definition.js';
import { codecOf } from './lean-codecs.js';
import type { MessageFns } from './message.js';

export type MethodKind = 'unary' | 'server-stream' | 'client-stream' | 'bidi';

/** One way to reach a method over HTTP, from google.api.http; additional_bindings are entries of their own. */
export interface HttpBinding {
  readonly verb: 'GET' | 'PUT' | 'POST' | 'DELETE' | 'PATCH';
  /** As in the .proto: "/v1/ships/{ship_id}/executions:run". */
  readonly path: string;
  /** "*", the name of a field, or "" where the request has no body. */
  readonly body: string;
  /** The name of the field that is the answer, or "" for the whole message. */
  readonly responseBody: string;
}

export interface Method {
  /** As in the implementation and the client: "startExecution". */
  readonly key: string;
  /** As in the .proto: "StartExecution". */
  readonly name: string;
  /** "/package.Service/Method". */
  readonly path: string;
  readonly service: string;
  readonly kind: MethodKind;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  /** Whether answers pass as encoded bytes through implementation and client (RAW_RESPONSE_METHODS). */
  readonly rawResponse: boolean;
  readonly requestType: MessageFns<unknown>;
  readonly responseType: MessageFns<unknown>;
  readonly http: readonly HttpBinding[];
  encodeRequest(message: unknown): Buffer;
  decodeRequest(bytes: Uint8Array): unknown;
  /** The identity for raw answers. */
  encodeResponse(message: unknown): Buffer;
  decodeResponse(bytes: Uint8Array): unknown;
}

export interface Service {
  /** "ExecutionService". */
  readonly name: string;
  /** "shipyard.execution.v1.ExecutionService". */
  readonly fullName: string;
  readonly methods: readonly Method[];
}

const known = new WeakMap<ServiceDefinitionLike, Service>();

/** The service of a generic definition; the same object for the same definition. */
export function toService(definition: ServiceDefinitionLike): Service {
  let service = known.get(definition);
  if (!service) {
    const methods = Object.entries(definition.methods).map(([key, method]) =>
      toMethod(definition.fullName, key, method),
    );
    service = { name: definition.name, fullName: definition.fullName, methods };
    known.set(definition, service);
  }
  return service;
}

function toMethod(service: string, key: string, definition: MethodDefinitionLike): Method {
  const requestType = definition.requestType as MessageFns<unknown>;
  const responseType = definition.responseType as MessageFns<unknown>;
  const request = codecOf(requestType);
  const rawResponse = definition.responseStream && (RAW_RESPONSE_METHODS as readonly string[]).includes(key);
  return {
    key,
    name: definition.name,
    path: `/${service}/${definition.name}`,
    service,
    kind: toKind(definition),
    requestStream: definition.requestStream,
    responseStream: definition.responseStream,
    rawResponse,
    requestType,
    responseType,
    http: readHttpBindings(definition),
    encodeRequest: (message) => toBuffer(request.encode(message).finish()),
    decodeRequest: (bytes) => request.decode(bytes),
    encodeResponse: rawResponse
      ? (bytes) => toBuffer(bytes as Uint8Array)
      : (message) => toBuffer(responseType.encode(message).finish()),
    decodeResponse: rawResponse ? (bytes) => bytes : (bytes) => responseType.decode(bytes),
  };
}

function toKind({ requestStream, responseStream }: MethodDefinitionLike): MethodKind {
  if (requestStream) return responseStream ? 'bidi' : 'client-stream';
  return responseStream ? 'server-stream' : 'unary';
}

/** A view, never a copy. */
function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The wire tag of the extension google.api.http (72295728, length-delimited), by which ts-proto keeps unknown options. */
const HTTP_RULE_TAG = 578365826;

function readHttpBindings(definition: MethodDefinitionLike): HttpBinding[] {
  const encoded = definition.options._unknownFields?.[HTTP_RULE_TAG] ?? [];
  return encoded.flatMap((field) => toBindings(decodeLengthDelimited(field)));
}

/** ts-proto keeps an unknown field of this wire type with its length in front. */
function decodeLengthDelimited(field: Uint8Array): HttpRule {
  let length = 0;
  let position = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = field[position++] ?? 0;
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return HttpRule.decode(field.subarray(position, position + length));
}

const VERBS = { get: 'GET', put: 'PUT', post: 'POST', delete: 'DELETE', patch: 'PATCH' } as const;

function toBindings(rule: HttpRule): HttpBinding[] {
  const own: HttpBinding[] = [];
  if (rule.pattern && rule.pattern.$case !== 'custom') {
    own.push({
      verb: VERBS[rule.pattern.$case],
      path: rule.pattern.value,
      body: rule.body,
      responseBody: rule.responseBody,
    });
  }
  return [...own, ...rule.additionalBindings.flatMap(toBindings)];
}
