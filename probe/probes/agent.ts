/** Calls to agents by whoever can connect to one. Whether a call was taken is seen by the file that it would make. */
import { tmpdir } from 'node:os';
import { StartExecutionRequest } from '../../proto/gen/shipyard/execution/v1/execution.js';
import { attack, attackOutside, summary } from '../attack.js';
import { Refused, type Session } from '../bay.js';
import { AGENT_PORT, agentSockets, OWN_AGENT_SOCKETS } from '../known-paths.js';
import { breached, held, NO_NEIGHBOUR, type Probe } from '../probe.js';
import type { Scene } from '../scene.js';
import { newSecret } from '../secrets.js';

const METHOD = '/shipyard.execution.v1.ExecutionService/StartExecution';

/** An encoded request that makes a file in a session's workspace. */
function makeFile(session: Session, file: string): string {
  const request = StartExecutionRequest.fromPartial({
    shipId: session.shipId,
    sessionId: session.id,
    executionId: `made-${file}`,
    work: { $case: 'command', value: { command: `echo made > ${file}` } },
  });
  return Buffer.from(StartExecutionRequest.encode(request).finish()).toString('hex');
}

async function isThere(session: Session, file: string): Promise<boolean> {
  try {
    return (await session.readText(file)).includes('made');
  } catch (error) {
    if (error instanceof Refused && error.reason === 'FILE_NOT_FOUND') return false;
    throw error;
  }
}

/** A probe of the agent of a ship: with some tokens, in the name of one of its sessions. */
function call(
  name: string,
  attempts: string,
  aim: (scene: Scene) => { session: Session | undefined; addresses: readonly string[]; tokens: readonly string[] },
): Probe {
  return {
    name,
    attempts,
    async run(scene) {
      const { session, addresses, tokens } = aim(scene);
      if (!session) return NO_NEIGHBOUR;
      await callsWork(scene);
      const file = newSecret('made');
      const args = { targets: agentsAt(addresses), tokens, method: METHOD, message: makeFile(session, file) };
      const attacked = await attack(scene.attacker, 'agent_call', args);
      return (await isThere(session, file)) ? breached('the call was taken and done') : held(summary(attacked));
    },
  };
}

type AgentPlace = { readonly host: string; readonly port: number } | { readonly path: string };

/** Agents of containers at addresses, and agents of processes wherever their sockets may lie. */
function agentsAt(addresses: readonly string[]): readonly AgentPlace[] {
  return [
    ...addresses.map((host) => ({ host, port: AGENT_PORT })),
    ...[...agentSockets(tmpdir()), ...OWN_AGENT_SOCKETS].map((path) => ({ path })),
  ];
}

/** Where the attacker's own ship has its agent. */
export const ownAgent = (scene: Scene): readonly AgentPlace[] => agentsAt(ownAddresses(scene));

let shown: Promise<void> | undefined;

/** Bay serves the same method: with its token the same program's call is done. */
function callsWork(scene: Scene): Promise<void> {
  return (shown ??= (async () => {
    const { own, token } = scene.target;
    if (!own) return;
    const file = newSecret('made');
    const targets = [{ host: '127.0.0.1', port: own.grpcPort }];
    await attackOutside('agent_call', {
      targets,
      tokens: [token],
      method: METHOD,
      message: makeFile(scene.victim, file),
    });
    if (!(await isThere(scene.victim, file))) throw new Error('the call by hand is not even done with the right token');
  })());
}

const ownAddresses = ({ ships }: Scene) => ['127.0.0.1', '10.0.2.100', ...address(ships.attacked.ipAddress)];
const otherAddresses = ({ ships, host }: Scene) => [...address(ships.other.ipAddress), ...(host?.addresses.v4 ?? [])];
const address = (one: string | undefined) => (one ? [one] : []);

/** The documented default, what Bay's caller would use, and what somebody might think of. */
const guesses = ['secret-token', 'change-me', 'token', 'a'.repeat(64), '0'.repeat(64)];

export const agent: readonly Probe[] = [
  call('own-agent-without-token', "call its own ship's agent without a token, for the other session", (scene) => ({
    session: scene.neighbour,
    addresses: ownAddresses(scene),
    tokens: [''],
  })),
  call('own-agent-guessed-token', "call its own ship's agent with guessed tokens", (scene) => ({
    session: scene.neighbour,
    addresses: ownAddresses(scene),
    tokens: guesses,
  })),
  call('other-agent-without-token', 'call the agent of another ship without a token', (scene) => ({
    session: scene.victim,
    addresses: otherAddresses(scene),
    tokens: [''],
  })),
  call('other-agent-guessed-token', 'call the agent of another ship with guessed tokens', (scene) => ({
    session: scene.victim,
    addresses: otherAddresses(scene),
    tokens: guesses,
  })),
];
