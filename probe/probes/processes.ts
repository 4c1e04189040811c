/** Hands on processes: of the agent, of the session's own runner, of the other session, of the machine. */
import { attack, successes, summary } from '../attack.js';
import { hasOneUser, type Session } from '../bay.js';
import { breached, held, NO_NEIGHBOUR, ONE_USER, type Probe } from '../probe.js';
import { RESIDENT } from '../scene.js';
import { newSecret } from '../secrets.js';

/** What stands between a session and the rest, also where it runs as the session's user. */
const WALLS = ['session_runner', 'bwrap', 'ship-agent', 'run.cjs', 'tini'];

export const processes: readonly Probe[] = [
  {
    name: 'trace-processes',
    attempts: 'trace, read or take descriptors from the agent, its session runner and whatever else it sees',
    async run({ attacker, ships }) {
      if (hasOneUser(ships.attacked)) return ONE_USER;
      const attacked = await attack(attacker, 'processes', { act: 'trace', walls: WALLS });
      const got = successes(attacked);
      if (!got.some(({ attempt }) => attempt === 'own child: trace'))
        throw new Error('the attack could not even trace its own child');
      const taken = got.filter(({ attempt }) => attempt.includes('foreign'));
      return taken.length > 0
        ? breached(
            taken
              .slice(0, 5)
              .map((one) => `${one.attempt}: ${one.got}`)
              .join('; '),
          )
        : held(summary(attacked));
    },
  },
  {
    name: 'kill-others',
    attempts: 'end the agent and processes of the other session by signals',
    async run({ attacker, neighbour }) {
      if (!neighbour) return NO_NEIGHBOUR;
      const memory = newSecret('kept');
      await neighbour.cell(`kept = '${memory}'`);
      await killAll(attacker);
      if (!(await neighbour.isRunning(RESIDENT))) return breached('a process of the other session ended');
      const told = await neighbour.cell('print(kept)');
      return told.includes(memory)
        ? held("the other session's kernel and process live on")
        : breached('its kernel is gone');
    },
  },
  {
    name: 'kill-itself',
    attempts: 'lose its own ship for good by killing all that it can, the session runner included',
    async run({ attacker, bay, controls, ships }) {
      await killAll(attacker);
      // Where it may end even the agent, its ship stops, and comes back when it is asked for.
      const again = hasOneUser(ships.attacked) ? () => bay.createShip(attacker.id) : async () => undefined;
      const told = await lastAnswer(attacker, "print(open('own.txt').read())", controls.file, again);
      const file = await attacker.readText('own.txt');
      return told.includes(controls.file) && file === controls.file
        ? held('the next cell runs, and the files are there')
        : breached(`the session does not come back: ${told}`);
    },
  },
];

async function killAll(session: Session): Promise<void> {
  // It ends itself, so that its call may fail in any way.
  await attack(session, 'processes', { act: 'kill', walls: WALLS }).catch(() => undefined);
}

/** A cell may be told truthfully that its kernel was killed; one of the next runs in a new one. */
async function lastAnswer(
  session: Session,
  code: string,
  wanted: string,
  prepare: () => Promise<unknown>,
): Promise<string> {
  let told = '';
  for (let attempt = 0; attempt < 5 && !told.includes(wanted); attempt += 1)
    told = await prepare()
      .then(() => session.cell(code))
      .catch((error: unknown) => String(error));
  return told;
}
