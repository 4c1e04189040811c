import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openCluster } from './open-cluster.js';

describe('openCluster', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(path.join(tmpdir(), 'shipyard-test-'))));
  afterEach(() => rmSync(folder, { recursive: true }));
  const withFile = (text: string, options: { context?: string } = {}) => {
    const kubeconfig = path.join(folder, 'kubeconfig');
    writeFileSync(kubeconfig, text);
    return openCluster({ kubeconfig, ...options });
  };
  const context = { name: 'home', context: { cluster: 'home', user: 'me', namespace: 'ships' } };
  const config = { clusters: [{ name: 'home', cluster: { server: 'https://192.0.2.1' } }], contexts: [context] };

  const plain = (server: string, more: object = {}) => ({
    ...config,
    clusters: [{ name: 'home', cluster: { server, ...more } }],
  });

  it('goes without TLS where the kubeconfig says so, as for `kubectl proxy`', async () => {
    const proxy = plain('http://127.0.0.1:8001', { 'insecure-skip-tls-verify': true });
    const cluster = await withFile(JSON.stringify({ ...proxy, 'current-context': 'home' }));
    expect(cluster.client.server).toBe('http://127.0.0.1:8001');
  });

  it('takes cluster and namespace from the context', async () => {
    const cluster = await withFile(JSON.stringify({ ...config, 'current-context': 'home' }));
    expect(cluster).toMatchObject({ namespace: 'ships', name: 'context home' });
    expect(cluster.client.server).toBe('https://192.0.2.1');
  });

  it.each([
    [
      'a file that is not there',
      { kubeconfig: '/nowhere/config' },
      /^the kubeconfig cannot be read: .* set KUBECONFIG$/,
    ],
    ['no context', { text: '{}' }, /^the kubeconfig says no current context: set KUBE_CONTEXT; it has: none$/],
    [
      'a server without TLS',
      { text: JSON.stringify({ ...plain('http://192.0.2.1:8001'), 'current-context': 'home' }) },
      /^the kubeconfig names http:\/\/192\.0\.2\.1:8001, without TLS: name its https address, or,/,
    ],
    ['another context', { text: JSON.stringify(config), context: 'work' }, /has no context "work"; it has: home$/],
  ])(
    'says of %s what to do',
    async (_what, { text, ...options }: { text?: string; kubeconfig?: string; context?: string }, says) => {
      const opened = text === undefined ? openCluster(options) : withFile(text, options);
      await expect(opened).rejects.toMatchObject({
        reason: 'DRIVER_REFUSED',
        message: expect.stringMatching(says) as string,
      });
    },
  );

  it('shows nothing of a file that is broken, since there are keys in it', async () => {
    const failure: unknown = await withFile('users: [{ user: { token: sesame } }\nkind: Config\n').catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({
      reason: 'DRIVER_REFUSED',
      message: expect.not.stringContaining('sesame') as string,
    });
    expect((failure as Error).cause).toBeUndefined();
  });
});
