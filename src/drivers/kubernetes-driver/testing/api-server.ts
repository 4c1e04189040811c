import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { KubeClient } from '../kube-client.js';

/** An API server that says what a test has it say, and a client of it. */
export class ApiServer {
  readonly #server: Server;

  private constructor(
    server: Server,
    readonly client: KubeClient,
  ) {
    this.#server = server;
  }

  static async start(answer: RequestListener): Promise<ApiServer> {
    const server = createServer(answer);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const config = new KubeConfig();
    config.loadFromClusterAndUser(
      { name: 'test', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
      { name: 'bay' },
    );
    return new ApiServer(server, new KubeClient(config));
  }

  /** Whoever waits for an answer loses the connection. May be repeated. */
  async close(): Promise<void> {
    this.client.close();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
