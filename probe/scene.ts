import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { randomInt } from 'node:crypto';
import { readDeploymentKey, shipToken } from '../src/ship-clients/ship-token.js';
import { attack, attackCommand, type Attacked } from './attack.js';
import { Bay, Refused, type Session, type ShipFacts } from './bay.js';
import { openHost, shadowLine, type Host } from './host/host.js';
import { knownPaths } from './known-paths.js';
import { newSecret } from './secrets.js';

/** Which Bay is probed, and how near to it the probes are. */
export interface Target {
  readonly url: string;
  readonly token: string;
  /** Ships run on this machine: secrets can be planted on it, and its addresses listened on. */
  readonly onThisMachine: boolean;
  /** Of a Bay that was started for the probes: its own secrets are known, and looked for. */
  readonly own?: OwnBay;
}

export interface OwnBay {
  readonly port: number;
  readonly grpcPort: number;
  readonly folder: string;
  /** Stands in Bay's environment. */
  readonly canary: string;
  readonly executionLogMaxBytes: number;
}

/** What is laid out for every probe: an attacker, and those who are to be robbed. */
export interface Scene {
  readonly target: Target;
  readonly bay: Bay;
  readonly attacker: Session;
  /** Another session in the attacker's ship; undefined where a ship takes one alone. */
  readonly neighbour: Session | undefined;
  /** The only session of another ship. */
  readonly victim: Session;
  readonly ships: { readonly attacked: ShipFacts; readonly other: ShipFacts };
  /** Undefined where the ships run on another machine. */
  readonly host: Host | undefined;
  /** By name; what must not come out of a ship. */
  readonly secrets: Readonly<Record<string, string>>;
  /** What the attacker is free to find. */
  readonly controls: { readonly file: string; readonly process: string };
  readonly victimPort: number;
  /** The attacker's look through everything that it can open; made once. */
  readonly sweep: () => Promise<Attacked>;
  close(): Promise<void>;
}

/** The execution that holds a session's secret in a living process. */
export const RESIDENT = 'probe-resident';
const SWEEP_SECONDS = 30;

/**
 * Makes two ships with three sessions and plants the secrets.
 *
 * @throws Error where the attacker would share a ship with sessions of others: attacks on those are nobody's wish
 */
export async function openScene(target: Target): Promise<Scene> {
  const bay = new Bay(target.url, target.token);
  const name = (who: string) => newSecret(`session-${who}`);
  const attackerName = name('attacker');
  const shared = await bay.createShip(attackerName, 2).catch((error: unknown) => {
    if (error instanceof Refused && error.reason === 'INVALID_ARGUMENT') return undefined; // it takes one session at a time
    throw error;
  });
  const attacked = shared ?? (await bay.createShip(attackerName, 1));
  if (attacked.currentSessionNum > 1) {
    await bay.endLease(attacked.shipId, attackerName);
    throw new Error(`ship ${attacked.shipId} had a free seat and would have been attacked with its sessions in it`);
  }
  const made = [attacked.shipId];
  const undo: (() => Promise<void>)[] = [];
  const close = async () => {
    await Promise.all([...made.map((shipId) => bay.deleteShip(shipId)), ...undo.map((act) => act())]);
  };
  try {
    const join = async () => {
      const session = name('neighbour');
      const joined = await bay.createShip(session);
      if (joined.shipId === attacked.shipId) return bay.in(joined.shipId, session);
      made.push(joined.shipId);
      throw new Error('the second session did not join the first one in its ship');
    };
    const neighbour = shared ? await join() : undefined;
    const victimName = name('victim');
    const other = await bay.createShip(victimName);
    made.push(other.shipId);

    const attacker = bay.in(attacked.shipId, attackerName);
    const victim = bay.in(other.shipId, victimName);
    const host = target.onThisMachine ? await openHost() : undefined;
    if (host) undo.push(() => host.close());
    const controls = { file: newSecret('own-file'), process: newSecret('own-process') };
    const victimPort = randomInt(20_000, 30_000);
    const secrets = {
      ...(neighbour ? await plant(neighbour, 'neighbour', randomInt(20_000, 30_000)) : {}),
      ...(await plant(victim, 'other-ship', victimPort)),
      'other-ship-name': victimName,
      ...(host ? { host: host.secret } : {}),
      ...secretsOfMachine(host),
      ...secretsOfBay(target, [attacked, other]),
    };
    await attacker.writeText('own.txt', controls.file);
    await hold(attacker, controls.process, randomInt(30_000, 32_000));
    let swept: Promise<Attacked> | undefined;
    const guesses = knownPaths({
      ...(target.own ? { bayFolder: target.own.folder } : {}),
      ...(host ? { hostFolder: host.folder } : {}),
      temporaryFolder: tmpdir(),
    });
    const needles = backwards({ ...secrets, 'own file': controls.file, 'own process': controls.process });
    return {
      ...{ target, bay, attacker, neighbour, victim, host, secrets, controls, victimPort, close },
      ships: { attacked, other },
      sweep: () =>
        (swept ??= attack(attacker, 'sweep', { needles, guesses, seconds: SWEEP_SECONDS }, { timeoutMs: 90_000 })),
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** One secret for each way in which a session can hold one. */
async function plant(session: Session, who: string, port: number): Promise<Record<string, string>> {
  const secrets = {
    file: newSecret(`${who}-file`),
    temporary: newSecret(`${who}-temporary`),
    log: newSecret(`${who}-log`),
    memory: newSecret(`${who}-memory`),
    process: newSecret(`${who}-process`),
    arguments: newSecret(`${who}-arguments`),
  };
  await session.writeText('secret.txt', secrets.file);
  await session.run({ command: { argv: ['python3', '-c', `open('/tmp/secret', 'w').write('${secrets.temporary}')`] } });
  await session.run({ command: { command: `echo ${secrets.log}` } });
  await session.cell(`secret = '${secrets.memory}'`);
  const connection = 'import ipykernel, json; print(json.load(open(ipykernel.get_connection_file()))["key"])';
  const key = (await session.cell(connection)).trim();
  await hold(session, secrets.process, port, secrets.arguments);
  return Object.fromEntries(Object.entries({ ...secrets, key }).map(([name, text]) => [`${who}-${name}`, text]));
}

/** Leaves a process running that has the secret in its environment and its memory, and serves it on a port. */
async function hold(session: Session, secret: string, port: number, argument = ''): Promise<void> {
  const args = { port, abstract: newSecret('socket'), shared: randomInt(1, 2 ** 31) };
  const argv = [...attackCommand('resident', args), argument];
  await session.start(RESIDENT, { command: { argv, env: { PROBE_SECRET: secret }, background: true } });
}

function secretsOfMachine(host: Host | undefined): Record<string, string> {
  const shadow = host ? shadowLine() : undefined;
  return shadow ? { shadow } : {};
}

/** Of a Bay that is ours: what its ships must never see. */
function secretsOfBay({ own, token }: Target, ships: readonly ShipFacts[]): Record<string, string> {
  if (!own) return {};
  const key = readDeploymentKey(path.join(own.folder, 'state'));
  const [attacked = '', other = ''] = ships.map(({ shipId, incarnation }) =>
    shipToken(key, { id: shipId, incarnation }),
  );
  const keyFile = readFileSync(path.join(own.folder, 'state', 'deployment.key'), 'utf8').trim();
  return {
    'access-token': token,
    'bay-environment': own.canary,
    'deployment-key': keyFile,
    'agent-token': attacked,
    'other-agent-token': other,
  };
}

const backwards = (texts: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, [...text].reverse().join('')]));
