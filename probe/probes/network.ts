/** Places that a ship's network must not lead to. Each of them answers whoever comes, and tells what it heard. */
import { tmpdir } from 'node:os';
import path from 'node:path';
import { attack, attackOutside, summary, type Attacked } from '../attack.js';
import { MULTICAST_GROUP } from '../host/listeners.js';
import type { Host } from '../host/host.js';
import { METADATA } from '../host/planted-addresses.js';
import { AGENT_PORT, agentSockets, ENGINE_SOCKETS } from '../known-paths.js';
import { breached, held, notApplicable, type Finding, type Probe } from '../probe.js';
import type { Scene } from '../scene.js';
import { newSecret } from '../secrets.js';

interface Place {
  readonly kind: 'tcp' | 'udp' | 'unix' | 'abstract';
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
  readonly send?: string;
}

/** Sends somebody to places; breached where one was reached. */
async function reach(scene: Scene, places: readonly Place[], options: { secret?: string } = {}): Promise<Finding> {
  const tag = newSecret('tag');
  const control = newSecret('control');
  const targets = places.map((place) => ({ ...place, send: place.send ?? `${tag}\n` }));
  const attacked = await attack(scene.attacker, 'reach', { targets, control });
  if (!attacked.output.includes(control)) throw new Error('the attack did not reach its own listener');
  if (scene.host?.listeners.heard(tag)) return breached(`it was heard outside: ${reached(attacked, control)}`);
  const { secret } = options;
  const found = secret === undefined ? reached(attacked, control) : attacked.output.includes(secret) ? secret : '';
  return found === '' ? held(summary(attacked)) : breached(found);
}

/** The first place beyond the attack's own that took a connection. */
function reached({ attempts }: Attacked, control: string): string {
  const one = attempts.find(({ got }) => String(got ?? '').startsWith('connected') && !String(got).includes(control));
  return one ? `${one.attempt} ${String(one.got).slice(0, 100)}` : '';
}

/** The same places from this machine, where they must answer: else nothing was proven. */
async function provable(host: Host, places: readonly Place[]): Promise<void> {
  const tag = newSecret('outside');
  const targets = places.map((place) => ({ ...place, send: `${tag}\n` }));
  const { output } = await attackOutside('reach', { targets, control: newSecret('control') });
  if (!host.listeners.heard(tag) && !output.includes(host.secret))
    throw new Error(`not even this machine reaches it: ${output.slice(0, 300)}`);
}

/** A probe of places on this machine, each of which is tried from outside too. */
function onHost(
  name: string,
  attempts: string,
  places: (host: Host, scene: Scene) => readonly Place[],
  more: { readonly unproven?: (host: Host) => readonly Place[] } = {},
): Probe {
  return {
    name,
    attempts,
    async run(scene) {
      const { host } = scene;
      if (!host) return notApplicable('the ships run on another machine');
      if (isOpen(scene)) return notApplicable('SHIP_NETWORK=open was asked for');
      const proven = places(host, scene);
      if (proven.length === 0) return notApplicable(host.planted.missing ?? 'this machine has no such address');
      await provable(host, proven);
      return reach(scene, [...proven, ...(more.unproven?.(host) ?? [])]);
    },
  };
}

const isOpen = ({ ships }: Scene) => ships.attacked.isolation?.network === 'open';
const tcp = (host: string, port: number): Place => ({ kind: 'tcp', host, port });
const udp = (host: string, port: number): Place => ({ kind: 'udp', host, port });
const both = (hosts: readonly string[], port: number) => hosts.flatMap((host) => [tcp(host, port), udp(host, port)]);

/** Names and addresses by which sandboxes commonly lead to their host. */
const HOST_ALIASES = ['10.0.2.2', 'host.docker.internal', 'host.containers.internal', 'gateway', '172.17.0.1'];

export const network: readonly Probe[] = [
  onHost('host-addresses', 'reach a port of the machine by any of its addresses', ({ addresses, listeners }) =>
    both(
      addresses.v4.filter((address) => !address.startsWith('127.')),
      listeners.port,
    ),
  ),
  {
    name: 'host-loopback',
    attempts: "reach a port on the machine's loopback by the ways that lead there from sandboxes",
    async run(scene) {
      const { host } = scene;
      if (!host) return notApplicable('the ships run on another machine');
      if (isOpen(scene)) return notApplicable('SHIP_NETWORK=open was asked for');
      const { port } = host.listeners;
      await provable(host, both(['127.0.0.1'], port));
      // The ship's own loopback answers nothing on this port; what answers is the machine.
      return reach(scene, both(['127.0.0.1', '127.1.2.3', '0.0.0.0', 'localhost', ...HOST_ALIASES], port));
    },
  },
  onHost('host-ipv6', 'reach a port of the machine over IPv6', ({ addresses, listeners }) =>
    addresses.v6.map((address) => tcp(address, listeners.port)),
  ),
  onHost('mapped-ipv6', 'reach the machine by IPv4-mapped IPv6 addresses', ({ addresses, listeners, planted }) =>
    [...addresses.v4, ...planted.privateRanges].map((address) => tcp(`::ffff:${address}`, listeners.port)),
  ),
  onHost('private-ranges', 'reach addresses of private networks', ({ planted, listeners }) =>
    both(planted.privateRanges, listeners.port),
  ),
  onHost('shared-range', 'reach addresses of the shared range 100.64.0.0/10', ({ planted, listeners }) =>
    planted.shared ? both([planted.shared], listeners.port) : [],
  ),
  onHost('link-local', 'reach link-local addresses', ({ planted, listeners }) =>
    planted.linkLocal ? both([planted.linkLocal], listeners.port) : [],
  ),
  {
    name: 'metadata',
    attempts: 'reach the metadata service of a cloud',
    async run(scene) {
      if (!scene.host) return notApplicable('the ships run on another machine');
      if (isOpen(scene)) return notApplicable('SHIP_NETWORK=open was asked for');
      // The one that is there, or the one that was planted.
      const known = { ...tcp(METADATA, 80), send: 'GET / HTTP/1.0\r\n\r\n' };
      const outside = await attackOutside('reach', { targets: [known], control: '' });
      if (!outside.attempts.some(({ attempt, got }) => attempt.includes(METADATA) && got))
        return notApplicable(scene.host.planted.missing ?? 'there is none, and none could be planted');
      return reach(scene, [
        known,
        tcp('metadata.google.internal', 80),
        tcp('fd00:ec2::254', 80),
        tcp('100.100.100.200', 80),
      ]);
    },
  },
  onHost('other-resolver', 'ask a resolver in a private network that nobody configured', ({ planted }) =>
    planted.resolver ? [udp(planted.resolver, 53)] : [],
  ),
  onHost(
    'resolver-other-ports',
    "reach other ports at the resolver's address",
    ({ listeners }) => [tcp('127.0.0.1', listeners.port)],
    { unproven: ({ listeners }) => both(['resolver'], listeners.port) },
  ),
  onHost(
    'multicast',
    'send to a multicast group, or to everybody',
    ({ listeners }) => [udp(MULTICAST_GROUP, listeners.port)],
    { unproven: ({ listeners }) => [udp('255.255.255.255', listeners.port), udp('224.0.0.251', 5353)] },
  ),
  onHost('host-sockets', 'connect to a Unix socket of the machine that is open to all', ({ folder }) => [
    { kind: 'unix', path: `${folder}/socket` },
  ]),
  onHost('host-abstract-sockets', 'connect to an abstract Unix socket of the machine', ({ folder }) =>
    // Some versions of Node fill the name up to the length of an address.
    [path.basename(folder), path.basename(folder).padEnd(107, '\0')].map((name) => ({ kind: 'abstract', path: name })),
  ),
  {
    name: 'engine-sockets',
    attempts: "connect to an engine's or the system's control socket",
    run: (scene) =>
      reach(
        scene,
        ENGINE_SOCKETS.map((path) => ({ kind: 'unix', path, send: 'GET /version HTTP/1.0\r\n\r\n' })),
      ),
  },
  {
    name: 'bay-ports',
    attempts: "reach Bay's ports by any address of its machine",
    async run(scene) {
      const { host, target } = scene;
      if (!host) return notApplicable('the ships run on another machine');
      if (isOpen(scene)) return notApplicable('SHIP_NETWORK=open was asked for');
      const all = [...HOST_ALIASES, ...host.addresses.v4, ...host.addresses.v6, ...host.planted.privateRanges];
      return reach(
        scene,
        all.flatMap((address) => bayPorts(target).map((port) => tcp(address, port))),
      );
    },
  },
  {
    name: 'bay-default-token',
    attempts: 'list all ships with the documented default token of Bay',
    async run(scene) {
      const { host, target, ships, attacker } = scene;
      if (!host) return notApplicable('the ships run on another machine');
      const ask = (token: string) => `GET /ships HTTP/1.0\r\nHost: bay\r\nAuthorization: Bearer ${token}\r\n\r\n`;
      const [port = 0] = bayPorts(target);
      const places = (token: string) =>
        ['127.0.0.1', ...HOST_ALIASES, ...host.addresses.v4].map((at) => ({ ...tcp(at, port), send: ask(token) }));
      const shown = await attackOutside('reach', { targets: places(target.token), control: '' });
      if (!shown.output.includes(ships.other.shipId))
        throw new Error('with the token Bay did not answer outside either');
      const attacked = await attack(attacker, 'reach', { targets: places('secret-token'), control: '' });
      return attacked.output.includes(ships.other.shipId) ? breached('it has the list') : held(summary(attacked));
    },
  },
  {
    name: 'other-ship-ports',
    attempts: 'reach a port that a session of another ship listens on',
    async run(scene) {
      const { victim, victimPort, ships, secrets, host } = scene;
      const secret = secrets['other-ship-process'] ?? '';
      const itself = [tcp('127.0.0.1', victimPort)];
      const control = await attack(victim, 'reach', { targets: itself, control: newSecret('control') });
      if (!control.output.includes(secret)) throw new Error('the other ship does not listen');
      const addresses = [ships.other.ipAddress, '127.0.0.1', ...HOST_ALIASES, ...(host?.addresses.v4 ?? [])];
      const places = addresses.filter((one) => one !== undefined && one !== '').map((one) => tcp(`${one}`, victimPort));
      return reach(scene, places, { secret });
    },
  },
  {
    name: 'other-ship-agent',
    attempts: 'connect to the agent of another ship, by socket or port',
    async run(scene) {
      const { ships } = scene;
      if (isOpen(scene)) return notApplicable('SHIP_NETWORK=open was asked for');
      const ports = ships.other.ipAddress ? [tcp(ships.other.ipAddress, AGENT_PORT)] : [];
      const sockets = agentSockets(tmpdir()).map((path): Place => ({ kind: 'unix', path }));
      return reach(scene, [...ports, ...sockets]);
    },
  },
];

/** HTTP first; a Bay that is not ours tells only that. */
function bayPorts({ own, url }: Scene['target']): number[] {
  if (own) return [own.port, own.grpcPort];
  const { port, protocol } = new URL(url);
  return [Number(port || (protocol === 'https:' ? 443 : 80))];
}
