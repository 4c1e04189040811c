/**
 * grpc-js servers ignore `grpc-node.flow_control_window` (grpc/grpc-node#3058), which leaves every upload with HTTP/2's
 * 64 KiB window. This gives the HTTP/2 servers of one grpc-js server the wanted window, and touches nothing else: neither
 * the http2 module nor other servers of the process.
 */
import type { Server } from '@grpc/grpc-js';
import type { Http2Server, ServerHttp2Session } from 'node:http2';

/** Receive window of a stream and of a connection, on both sides; measured to double the throughput of files. */
export const FLOW_CONTROL_WINDOW_BYTES = 4 * 1024 * 1024;

interface Http2ServerFactory {
  createHttp2Server: (...args: readonly unknown[]) => Http2Server;
}

/**
 * To be called before the server binds. grpc-js makes an HTTP/2 server for each bound address in a private method, which
 * is wrapped on this one object.
 */
export function widenServerWindow(server: Server, windowBytes = FLOW_CONTROL_WINDOW_BYTES): void {
  const factory = server as unknown as Http2ServerFactory;
  const create = factory.createHttp2Server;
  if (typeof create !== 'function') throw new Error('this grpc-js makes its HTTP/2 servers in another way');
  factory.createHttp2Server = (...args) => {
    const http2Server = create.apply(factory, [...args]);
    http2Server.prependListener('session', (session: ServerHttp2Session) => {
      session.settings({ initialWindowSize: windowBytes });
      session.setLocalWindowSize(windowBytes);
    });
    return http2Server;
  };
}
