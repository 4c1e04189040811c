/** Secrets that others hold, in files and in processes. The attacker knows exactly where things lie, and reads it all. */
import { judgeBySecret } from '../attack.js';
import { hasOneUser } from '../bay.js';
import { held, NO_NEIGHBOUR, notApplicable, ONE_USER, type Probe } from '../probe.js';

const wanted: readonly [secret: string, probe: string, attempts: string][] = [
  ['neighbour-file', 'neighbour-files', 'read the files of another session in the same ship'],
  ['neighbour-temporary', 'neighbour-tmp', 'read /tmp of another session in the same ship'],
  ['neighbour-log', 'neighbour-log', 'read the execution log of another session in the same ship'],
  ['neighbour-memory', 'neighbour-memory', "read the memory of another session's kernel"],
  ['neighbour-process', 'neighbour-processes', "read environment and memory of another session's processes"],
  ['neighbour-arguments', 'neighbour-arguments', "read command lines of another session's processes"],
  ['neighbour-key', 'neighbour-kernel-key', "read the key of another session's kernel"],
  ['other-ship-file', 'other-ship-files', 'read the files of another ship'],
  ['other-ship-temporary', 'other-ship-tmp', 'read /tmp of another ship'],
  ['other-ship-log', 'other-ship-log', 'read the execution log of another ship'],
  ['other-ship-memory', 'other-ship-memory', 'read the memory of processes of another ship'],
  ['other-ship-process', 'other-ship-processes', 'read environment and memory of processes of another ship'],
  ['other-ship-arguments', 'other-ship-arguments', 'read command lines of processes of another ship'],
  ['other-ship-name', 'other-ship-name', 'find out the names of sessions in other ships'],
  ['agent-token', 'agent-token', "read its agent's token, in its configuration, memory or environment"],
  ['other-agent-token', 'other-agent-token', "read the token of another ship's agent"],
  ['deployment-key', 'deployment-key', 'read the key from which tokens of ships are made'],
  ['access-token', 'access-token', "read Bay's access token"],
  ['bay-environment', 'bay-environment', "read Bay's environment"],
  ['host', 'host-files', 'read a file of the machine that all its users may read'],
  ['shadow', 'host-passwords', "read the machine's password file"],
];

const WHY_NOT: Readonly<Record<string, string>> = {
  host: 'the ships run on another machine',
  shadow: 'this user may not read the password file, so that nothing could be compared',
};

export const readings: readonly Probe[] = wanted.map(([secret, name, attempts]) => ({
  name,
  attempts,
  async run({ secrets, controls: free, sweep, ships }) {
    const text = secrets[secret];
    if (secret === 'neighbour-arguments' && ships.attacked.isolation?.kind === 'container')
      return notApplicable("sessions of one container see each other's command lines, as SECURITY.md says");
    if (secret.startsWith('neighbour-') && text === undefined) return NO_NEIGHBOUR;
    if (secret === 'agent-token' && hasOneUser(ships.attacked)) return ONE_USER;
    if (text === undefined) return notApplicable(WHY_NOT[secret] ?? 'only a Bay of our own has secrets that we know');
    const swept = await sweep();
    const end = swept.attempts.find(({ attempt }) => attempt === 'reach the end');
    if (!end) throw new Error('the look was not finished');
    // The same look finds what the attacker is free to find: its own file, environment and memory of its other process.
    const controls = [free.file, `environ holds ${free.process}`, `mem holds ${free.process}`];
    const findings = controls.map((control) => judgeBySecret(swept, { secret: text, control }));
    return findings.find(({ verdict }) => verdict === 'breached') ?? held(`not among ${end.got}`);
  },
}));
