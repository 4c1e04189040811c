/** Dials a MuxConnection on a bare socket, to a server with `mux.sockets`. */
import { abortReason } from '../call.js';
import { MuxConnection } from './mux-connection.js';
import { asDialer, untilHello, withToken, type DialMuxOptions, type MuxLink } from './mux-grpc.js';
import { DialledSocketLink, type SocketTarget } from './socket-link.js';

/**
 * As dialMux, without gRPC.
 *
 * @returns undefined where somebody answered who does not speak it: a server of gRPC alone
 * @throws StatusError as dialMux
 */
export async function dialSocket(
  target: SocketTarget,
  options: Omit<DialMuxOptions, 'credentials' | 'serverName'> = {},
): Promise<MuxLink | undefined> {
  if (options.signal?.aborted) throw abortReason(options.signal);
  const name = 'path' in target ? `unix:${target.path}` : `${target.host}:${target.port}`;
  const link = new DialledSocketLink(target, withToken(options));
  try {
    return await untilHello(new MuxConnection(link, asDialer(name, options)), name, options);
  } catch (error) {
    if (link.isForeign) return undefined;
    throw error;
  }
}
