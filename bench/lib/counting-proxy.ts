import { createServer, type IncomingMessage } from 'node:http';
import { request as forward, type RequestOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';

/** Between a Bay and an API server: counts what is asked, watches aside. */
export interface CountingProxy {
  /** A kubeconfig for the same cluster and identity through it. */
  readonly kubeconfig: string;
  /** `POST pods`, `GET secrets`: each request since the last take(). */
  take(): string[];
  close(): void;
}

/** Serves on loopback, with the identity of the kubeconfig: whoever reaches it is that. */
export async function openCountingProxy(file: string): Promise<CountingProxy> {
  const config = new KubeConfig();
  config.loadFromFile(file);
  const server = config.getCurrentCluster()?.server ?? '';
  const identity: RequestOptions = { headers: {} };
  await config.applyToHTTPSOptions(identity);
  const { ca, cert, key } = identity;
  let asked: string[] = [];
  const proxy = createServer((request, response) => {
    const url = new URL(request.url ?? '/', server);
    if (!url.searchParams.has('watch')) asked.push(nameOf(request, url));
    const headers = { ...request.headers, ...(identity.headers as Record<string, string>), host: url.host };
    const onward = forward(url, { method: request.method, headers, ca, cert, key }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const { port } = proxy.address() as AddressInfo;
  const namespace = config.getContextObject(config.getCurrentContext())?.namespace ?? 'default';
  return {
    kubeconfig: JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        { name: 'counted', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } },
      ],
      users: [{ name: 'counted', user: {} }],
      contexts: [{ name: 'counted', context: { cluster: 'counted', user: 'counted', namespace } }],
      'current-context': 'counted',
    }),
    take: () => asked.splice(0),
    close() {
      proxy.close();
      proxy.closeAllConnections();
      asked = [];
    },
  };
}

/** The kind asked for, whichever object of it. */
const nameOf = ({ method }: IncomingMessage, { pathname }: URL): string =>
  `${method} ${/\/namespaces\/[^/]+\/([^/]+)/.exec(pathname)?.[1] ?? pathname}`;
