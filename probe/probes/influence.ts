/** Things left where others would read or run them. */
import { tmpdir } from 'node:os';
import { attack, successes, summary } from '../attack.js';
import { hasOneUser, Refused, type Session } from '../bay.js';
import { knownPaths } from '../known-paths.js';
import { breached, held, NO_NEIGHBOUR, type Probe } from '../probe.js';
import { newSecret } from '../secrets.js';

export const influence: readonly Probe[] = [
  {
    name: 'python-startup',
    attempts: 'run code in the session runner by what Python and shells read from a home at their start',
    async run({ bay }) {
      const name = newSecret('session-planting');
      const { shipId } = await bay.createShip(name);
      try {
        const session = bay.in(shipId, name);
        const mark = newSecret('ran');
        await attack(session, 'plant', { mark });
        await session.run({ command: { argv: ['python3', '-c', '"the session itself"'] } });
        const ran = await lines(session, mark);
        if (!ran.some((line) => line.includes('the session itself'))) throw new Error('what was planted does not run');
        // The next life of the ship has a new runner, which finds all that.
        await bay.call('POST', `/v1/ships/${shipId}:stop`, { body: {}, timeoutMs: 60_000 });
        await bay.createShip(name);
        await session.writeText('after.txt', 'by the new runner');
        const runner = (await lines(session, mark)).filter((line) => !line.includes(' -c '));
        return runner.length > 0 ? breached(`it ran in ${runner[0]}`) : held('only the session itself ran it');
      } finally {
        await bay.deleteShip(shipId);
      }
    },
  },
  {
    name: 'neighbour-kernel',
    attempts: "have the other session's next kernel run what it planted",
    async run({ bay, attacker, neighbour, ships }) {
      if (!neighbour) return NO_NEIGHBOUR;
      const name = newSecret('session-planting');
      const mark = newSecret('ran');
      // In another ship of its own as the control: there the session is its own next kernel.
      const { shipId } = await bay.createShip(name);
      try {
        const session = bay.in(shipId, name);
        await attack(session, 'plant', { mark });
        await session.cell('1');
        if ((await lines(session, mark)).length === 0) throw new Error("not even the planter's own kernel runs it");
      } finally {
        await bay.deleteShip(shipId);
      }
      await attack(attacker, 'plant', { mark });
      await bay.call('POST', `/v1/ships/${ships.attacked.shipId}/kernel:restart`, { session: neighbour.id, body: {} });
      await neighbour.cell('1 + 1');
      const ran = await lines(neighbour, mark);
      return ran.length > 0 ? breached(`it ran in ${ran[0]}`) : held("the other session's new kernel ran none of it");
    },
  },
  {
    name: 'write-everywhere',
    attempts: "leave files in any folder beyond its own, or change what others' programs are made of",
    async run({ attacker, target, host, ships }) {
      const guesses = knownPaths({
        ...(target.own ? { bayFolder: target.own.folder } : {}),
        ...(host ? { hostFolder: host.folder } : {}),
        temporaryFolder: tmpdir(),
      });
      const own = (await attacker.cell('print(__import__("os").getcwd())')).trim();
      const free = hasOneUser(ships.attacked) ? ['/ship'] : [];
      const args = { guesses, own, free, mark: newSecret('left') };
      const attacked = await attack(attacker, 'write_everywhere', args);
      const got = successes(attacked);
      if (!got.some(({ attempt }) => attempt === 'own folder')) throw new Error('not even the own folder takes a file');
      const others = got.filter(({ attempt }) => attempt !== 'own folder');
      return others.length > 0
        ? breached(
            others
              .slice(0, 5)
              .map(({ attempt }) => attempt)
              .join('; '),
          )
        : held(summary(attacked));
    },
  },
];

async function lines(session: Session, file: string): Promise<string[]> {
  try {
    return (await session.readText(file)).split('\n').filter(Boolean);
  } catch (error) {
    if (error instanceof Refused && error.reason === 'FILE_NOT_FOUND') return [];
    throw error;
  }
}
