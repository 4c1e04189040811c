import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { startRpcServer, type RpcServer } from '../../proto/rpc/grpc-server.js';
import { createRouter } from '../../proto/rpc/router.js';
import { until } from '../../proto/rpc/testing/probe-service.js';
import { agentReady } from './agent-ready.js';

describe('agentReady', () => {
  const servers: { close(): unknown }[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
  });

  /** An agent's server, as far as it is dialled. */
  const agent = async (port: number, sockets: boolean): Promise<RpcServer> => {
    const hello = () => ({ shipId: 'ship', incarnation: 1, agentVersion: 'test' });
    const router = createRouter({ services: [] });
    const server = await startRpcServer({ address: `127.0.0.1:${port}`, router, mux: { hello, sockets } });
    servers.push({ close: () => server.stop({ drainMs: 0 }) });
    return server;
  };
  /** Takes connections as an engine's proxy does, with nobody behind. */
  const proxy = async (): Promise<{ server: Server; port: number; taken: () => number }> => {
    let taken = 0;
    const server = createServer((socket) => {
      taken += 1;
      socket.on('error', () => undefined).destroy();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { server, port: (server.address() as AddressInfo).port, taken: () => taken };
  };
  const at = (port: number) => ({ kind: 'tcp', host: '127.0.0.1', port }) as const;

  it.each([
    ['that takes bare sockets', true],
    ['of gRPC alone', false],
  ])('answers for an agent %s', async (_what, sockets) => {
    const { port } = await agent(0, sockets);
    await agentReady(at(port), AbortSignal.timeout(10_000), { behindProxy: true });
  });

  it('answers for one that has taken a connection, where nothing stands between', async () => {
    const { server, port } = await proxy();
    servers.push(server);
    await agentReady(at(port), AbortSignal.timeout(10_000));
  });

  it('does not take a proxy for the agent behind it', async () => {
    const { server, port, taken } = await proxy();
    let ready = false;
    const waiting = agentReady(at(port), AbortSignal.timeout(30_000), { behindProxy: true }).then(() => (ready = true));
    await until(() => taken() >= 3, 'it was tried three times');
    expect(ready).toBe(false);
    await new Promise((resolve) => server.close(resolve));
    await agent(port, true);
    await waiting;
  });

  it('looks at once at a sign, and not on and on without one', async () => {
    const { server, port, taken } = await proxy();
    servers.push(server);
    let look: () => void = () => undefined;
    const over = new AbortController();
    const waiting = agentReady(at(port), over.signal, { onSign: (listener) => (look = listener), behindProxy: true });
    const ended = expect(waiting).rejects.toThrow('enough');
    while (taken() < 100) {
      look();
      await new Promise((resolve) => setImmediate(resolve));
    }
    over.abort(new Error('enough'));
    await ended;
  });
});
