/** How a gRPC connection proves itself: by a call that may be made. */
import { type Metadata, ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import { fromMetadata, toServiceError } from './grpc-common.js';
import type { Unproven } from './unproven.js';

/** Judges a connection or a call by its metadata alone. Throws a StatusError to refuse. */
export type Authenticate = (metadata: Readonly<Record<string, string>>, peer: string) => void | Promise<void>;

export interface ProofOptions {
  readonly authenticate?: Authenticate | undefined;
  /** Whether anybody may make the call, by its path. */
  readonly isOpen: (path: string) => boolean;
}

/**
 * The first call that `authenticate` accepts lets its connection in; one that it does not is refused before any of its
 * messages is read, so that nobody without a token fills the memory. Later calls are the router's to judge.
 *
 * A call that anybody may make (a load balancer's health check, on a connection that it keeps) is no proof, since then an
 * attacker's would be one too: its connection has no time limit any more, and still loses its place to newer ones.
 */
export function proveByCalls(unproven: Unproven, { authenticate, isOpen }: ProofOptions): ServerInterceptor {
  return ({ path }, call) => {
    const peer = call.getPeer();
    const socket = unproven.find(peer);
    // What grpc-js wants is the interface; a wrapping would cost every call of every connection.
    if (!socket) return call as ServerInterceptingCall;
    const judge = async (metadata: Metadata): Promise<void> => {
      if (isOpen(path)) return unproven.tolerate(socket);
      await authenticate?.(fromMetadata(metadata), peer);
      unproven.letIn(socket);
    };
    return new ServerInterceptingCall(call, {
      start: (begin) =>
        begin({
          onReceiveMetadata: (metadata, pass) =>
            void judge(metadata).then(
              () => pass(metadata),
              (thrown: unknown) => call.sendStatus(toServiceError(thrown)),
            ),
        }),
    });
  };
}
