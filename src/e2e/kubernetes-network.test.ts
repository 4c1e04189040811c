/** Bay in the cluster, from the manifests: who reaches whom. Asked from other Pods, since a node reaches every Pod. */
import { startOwnBay, type OwnBay } from '../../scripts/lib/bay.mjs';
import { INSIDE } from '../drivers/inside.js';
import { TEST_IMAGE } from '../drivers/kubernetes-driver/testing/test-cluster.js';
import { eventually } from './testing/processes.js';
import { testCluster } from './testing/test-cluster.js';
import { V1Calls, type SessionCalls, type ShipSeen } from './testing/v1-calls.js';

const isInside = Boolean(process.env.SHIPYARD_TEST_BAY_NAMESPACE);
const insideCluster = isInside ? describe : describe.skip;
const BAY_LABEL = 'app.kubernetes.io/component';
/** What is not allowed is dropped, so that a closed way is one that takes too long. */
const PATIENCE_S = 3;

/** `open` or `closed` for each place, as a shell with bash tells it. */
const ask = (places: readonly string[]) =>
  places
    .map((place) => {
      const [host, port] = place.split(' ');
      return `(timeout ${PATIENCE_S} bash -c '< /dev/tcp/${host}/${port}' 2> /dev/null && echo '${place} open' || echo '${place} closed')`;
    })
    .join(' & ') + ' & wait';
const answers = (output: string) =>
  Object.fromEntries(
    output
      .trim()
      .split('\n')
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), line.split(' ').at(-1)]),
  );
const all = (places: readonly string[], answer: 'open' | 'closed') =>
  Object.fromEntries(places.map((place) => [place, answer]));

insideCluster('who reaches whom, with Bay in the cluster', () => {
  const cluster = isInside ? testCluster() : (undefined as never);
  let bay: OwnBay;
  let calls: V1Calls;
  let one: ShipSeen;
  let two: ShipSeen;
  let session: SessionCalls;
  /** Addresses of Bay and of the API server, with their ports. */
  let ofBay: string[];
  let ofServer: string[];

  beforeAll(async () => {
    bay = await startOwnBay();
    calls = new V1Calls(bay);
    [one, two] = await Promise.all([calls.createShip('one'), calls.createShip('two')]);
    session = calls.in(one.shipId, 'one');
    await Promise.all([makePod('passer-by', {}), makePod('pretender', { [BAY_LABEL]: 'bay' })]);
    const [bayPod = ''] = await cluster.names('pods', `${BAY_LABEL}=bay,app.kubernetes.io/name=shipyard`);
    ofBay = [await addressOf(bayPod), new URL(bay.url).hostname].flatMap((host) => [`${host} 8156`, `${host} 8157`]);
    const { host, hostname, port } = new URL(cluster.client.server);
    const service = await cluster.client.request<{ spec: { clusterIP: string } }>(
      'GET',
      '/api/v1/namespaces/default/services/kubernetes',
    );
    expect(host).not.toBe('');
    ofServer = [`${hostname} ${port || 443}`, `${service.spec.clusterIP} 443`];
  }, 120_000);
  afterAll(async () => {
    for (const name of ['passer-by', 'pretender']) await cluster.remove('pods', name);
    for (const { shipId } of [one, two]) await calls.deleteShip(shipId);
    await bay.stop();
  }, 120_000);

  const addressOf = async (pod: string) =>
    (await cluster.client.request<{ status: { podIP?: string } }>('GET', cluster.path('pods', pod))).status.podIP ?? '';
  const agentOf = (ship: ShipSeen) => `${ship.ipAddress} ${INSIDE.port}`;
  const asked = async (pod: string, places: readonly string[]) =>
    answers((await cluster.exec(pod, ['bash', '-c', ask(places)])).output);

  /** A Pod of nobody's, which listens where agents do, and does what it is told. */
  async function makePod(name: string, labels: Record<string, string>): Promise<void> {
    const command = ['python3', '-m', 'http.server', `${INSIDE.port}`];
    const container = { name: 'ship', image: TEST_IMAGE, imagePullPolicy: 'IfNotPresent', command };
    const spec = { containers: [container], terminationGracePeriodSeconds: 0, enableServiceLinks: false };
    const body = { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels }, spec };
    await cluster.client.request('POST', cluster.path('pods'), { body });
    const isUp = async () => (await addressOf(name)) !== '' && (await cluster.exec(name, ['true'])).code === 0;
    await eventually(`${name} runs`, () => isUp().catch(() => false), 60_000);
  }

  it('a Pod of nobody reaches Bay, the API server and its like, so that what follows means something', async () => {
    const places = [...ofBay, ...ofServer];
    expect(await asked('passer-by', places)).toEqual(all(places, 'open'));
    const another = [`${await addressOf('passer-by')} ${INSIDE.port}`];
    expect(await asked('pretender', another)).toEqual(all(another, 'open'));
  }, 30_000);

  it('a ship reaches neither another ship nor Bay, the API server, private ranges, or metadata of a cloud', async () => {
    const others = [await addressOf('passer-by'), '10.0.0.1', '172.17.0.1', '192.168.0.1', '100.64.0.1'];
    const places = [
      ...[agentOf(two), ...ofBay, ...ofServer, '169.254.169.254 80'],
      ...others.map((host) => `${host} ${INSIDE.port}`),
    ];
    expect(answers(await session.command(ask(places)))).toEqual(all(places, 'closed'));
    const itself = [`127.0.0.1 ${INSIDE.port}`];
    expect(answers(await session.command(ask(itself)))).toEqual(all(itself, 'open'));
  }, 60_000);

  it("a ship's agent answers Bay alone: others do not reach it, and one that does has no certificate", async () => {
    expect(await asked('passer-by', [agentOf(one), agentOf(two)])).toEqual(all([agentOf(one), agentOf(two)], 'closed'));
    expect(await asked('pretender', [agentOf(one)])).toEqual(all([agentOf(one)], 'open'));
    const dial = `
      const socket = require('tls').connect({ host: '${one.ipAddress}', port: ${INSIDE.port}, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
      socket.on('data', () => undefined).on('secureConnect', () => socket.write('PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n'));
      socket.on('error', (error) => console.log(error.code)).on('close', () => console.log('closed'));`;
    const { output } = await cluster.exec('pretender', ['timeout', '10', 'node', '-e', dial]);
    expect(output).toMatch(/CERTIFICATE_REQUIRED/);
  }, 60_000);
});
