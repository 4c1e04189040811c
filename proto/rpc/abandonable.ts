/**
 * grpc-js waits without end for a server that accepts the connection and says nothing (a frozen process, a paused
 * container): closing its channel leaves the socket behind. Every channel does tell its secure connector that it is done,
 * and that is where such a socket is ended.
 */
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Socket } from 'node:net';

interface SecureConnector {
  connect(socket: Socket): Promise<unknown>;
  waitForReady(): Promise<void>;
  getCallCredentials(): unknown;
  destroy(): void;
}

interface ConnectorFactory {
  _createSecureConnector(...args: readonly unknown[]): SecureConnector;
}

/** The same credentials for a channel whose close() also ends a connection that the server never answered. */
export function abandonable(credentials: ChannelCredentials): ChannelCredentials {
  const factory = credentials as unknown as ConnectorFactory;
  if (typeof factory._createSecureConnector !== 'function') return credentials; // another grpc-js: leaks, as it does by itself
  const create = (...args: readonly unknown[]): SecureConnector => {
    const connector = factory._createSecureConnector(...args);
    let last: Socket | undefined;
    return {
      connect: (socket) => {
        last = socket;
        return connector.connect(socket);
      },
      waitForReady: () => connector.waitForReady(),
      getCallCredentials: () => connector.getCallCredentials(),
      destroy: () => {
        if (last?.bytesRead === 0) last.destroy();
        connector.destroy();
      },
    };
  };
  return Object.create(credentials, { _createSecureConnector: { value: create } }) as ChannelCredentials;
}
