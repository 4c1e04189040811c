import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShipServiceDefinition } from '../../proto/gen/shipyard/ship/v1/ship.js';
import { createClient } from '../../proto/rpc/client.js';
import { startRpcServer } from '../../proto/rpc/grpc-server.js';
import { PROTOCOL_GENERATION } from '../../proto/rpc/mux/frame.js';
import { createRouter } from '../../proto/rpc/router.js';
import { AgentBench, TOKEN } from '../../ship/src/testing/agent-bench.js';
import type { Endpoint } from '../drivers/driver.js';
import { shipDialer } from './dial-ship.js';

const dial = (endpoint: Endpoint) =>
  shipDialer.dial(endpoint, { token: TOKEN, signal: AbortSignal.timeout(10_000), timeoutMs: 5_000 });

describe('shipDialer', () => {
  it.each(['127.0.0.1', '::1'])('reaches an agent that listens on a port of %s', async (host) => {
    await using bench = await AgentBench.start({ config: { listen: { kind: 'tcp', host, port: 0 } } });
    const ship = await dial({ kind: 'tcp', host, port: bench.agent.server.port });
    expect(ship.hello).toMatchObject({ shipId: 'ship-1', incarnation: 3 });
    await createClient(ShipServiceDefinition, ship.transport).setLease({
      fence: { incarnation: 3, number: 1 },
      remainingMs: 1_000,
    });
    ship.close();
  });

  it('reaches an agent of an earlier version, which speaks gRPC alone', async () => {
    const agent = await startRpcServer({ address: '127.0.0.1:0', router: createRouter({ services: [] }), mux: {} });
    const ship = await dial({ kind: 'tcp', host: '127.0.0.1', port: agent.port });
    expect(ship.hello.generation).toBe(PROTOCOL_GENERATION);
    ship.close();
    await agent.stop({ drainMs: 50 });
  });

  it('speaks mutual TLS where the endpoint says so, and both sides refuse strangers', async () => {
    const [ships, strangers] = [makeAuthority(), makeAuthority()];
    const tls = ships.issue('ship-1');
    await using bench = await AgentBench.start({
      config: { listen: { kind: 'tcp', host: '127.0.0.1', port: 0, tls: { ...tls, caPem: ships.caPem } } },
    });
    const { port } = bench.agent.server;
    const at = (own: Issued, caPem: string, serverName: string): Endpoint => ({
      ...{ kind: 'tcp', host: '127.0.0.1', port },
      tls: { ...own, caPem, serverName },
    });

    const ship = await dial(at(ships.issue('bay'), ships.caPem, 'ship-1'));
    expect(ship.hello.shipId).toBe('ship-1');
    ship.close();

    const refused = { reason: 'SHIP_UNREACHABLE' };
    await expect(dial(at(strangers.issue('bay'), ships.caPem, 'ship-1'))).rejects.toMatchObject(refused);
    await expect(dial(at(ships.issue('bay'), strangers.caPem, 'ship-1'))).rejects.toMatchObject(refused);
    await expect(dial(at(ships.issue('bay'), ships.caPem, 'ship-2'))).rejects.toMatchObject(refused);
    await expect(dial({ kind: 'tcp', host: '127.0.0.1', port })).rejects.toMatchObject(refused);
    ships.remove();
    strangers.remove();
  });
});

interface Issued {
  readonly certPem: string;
  readonly keyPem: string;
}

/** An authority of its own, in a temporary folder. */
function makeAuthority() {
  const folder = mkdtempSync(join(tmpdir(), 'shipyard-ca-'));
  const file = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const own = ['-keyout', file('ca.key'), '-out', file('ca.pem'), '-days', '2', '-subj', '/CN=authority'];
  openssl('req', '-x509', ...newKey, ...own);
  return {
    caPem: readFileSync(file('ca.pem'), 'utf8'),
    issue(name: string): Issued {
      writeFileSync(file('names'), `subjectAltName=DNS:${name}`);
      openssl('req', ...newKey, '-keyout', file('key'), '-out', file('request'), '-subj', `/CN=${name}`);
      const signed = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '2'];
      openssl('x509', '-req', '-in', file('request'), '-out', file('cert'), '-extfile', file('names'), ...signed);
      return { certPem: readFileSync(file('cert'), 'utf8'), keyPem: readFileSync(file('key'), 'utf8') };
    },
    remove: () => rmSync(folder, { recursive: true }),
  };
}
