/** What the documented routes are built from, and what their handlers are given. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { HttpCall } from '../call.js';
import type { Client } from '../../../proto/rpc/definition.js';
import type { BayServiceDefinition } from '../../../proto/gen/shipyard/bay/v1/bay.js';
import type { ExecutionServiceDefinition } from '../../../proto/gen/shipyard/execution/v1/execution_service.js';
import type { FileServiceDefinition } from '../../../proto/gen/shipyard/execution/v1/file_service.js';

export type BayClient = Client<typeof BayServiceDefinition>;
export type ExecutionClient = Client<typeof ExecutionServiceDefinition>;
export type FileClient = Client<typeof FileServiceDefinition>;

export interface ShipyardApiConfig {
  /** MAX_UPLOAD_SIZE, in bytes. */
  readonly maxUploadBytes: number;
  /** Of Bay, as /stat says it. */
  readonly version: string;
  /** Where uploads wait whose name comes after their bytes; default the system's temporary folder. */
  readonly spoolDir?: string;
}

export interface ApiLog {
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

export interface ShipyardApiDeps {
  readonly bay: BayClient;
  readonly executions: ExecutionClient;
  readonly files: FileClient;
  /** @throws StatusError TOKEN_MISSING, TOKEN_INVALID */
  readonly authorize: (authorization: string | undefined) => void;
  readonly config: ShipyardApiConfig;
  readonly log: ApiLog;
}

/** One request of a documented route. */
export interface ApiCall {
  readonly deps: ShipyardApiDeps;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** From the path, decoded; empty where the route has none. */
  readonly shipId: string;
  /** As sent; undefined where the header is missing. */
  readonly contentType: string | undefined;
  /** For calls that end with this request; the signal aborts when the client leaves before it was answered. */
  readonly options: HttpCall;
}
