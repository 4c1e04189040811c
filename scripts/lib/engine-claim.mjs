import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { say } from './log.mjs';

/** For an engine to end: it ends its containers first. */
const END_SECONDS = 30;

/**
 * The locks are the kernel's, and go with who has them: a number in a file would be somebody else's by and by, and keep the
 * engine for ever. Whoever finds no other one left ends the engine, and keeps new claims waiting meanwhile.
 */
const HOLD = `
  exec 9>> "$1"
  flock -s 9 || exit 2
  echo held
  read -r word
  flock -u 9
  flock -n -x 9 || exit 0
  engine=$(cat "$2") && tr '\\0' ' ' < "/proc/$engine/cmdline" | grep -qF "$3" && kill -TERM "$engine" || exit 0
  tries=0
  while kill -0 "$engine" 2> /dev/null && [ $tries -lt $((${END_SECONDS} * 20)) ]; do tries=$((tries + 1)); sleep 0.05; done
  pause=$(cat "$4" 2> /dev/null) && grep -q podman "/proc/$pause/comm" 2> /dev/null && kill "$pause"
  ! kill -0 "$engine" 2> /dev/null`;

/**
 * Claims an engine of ours. A shell holds the claim, which lives as long as we need the engine, also if we are killed: at the
 * end of its input it gives the claim up, and ends the engine where no other claim is left.
 *
 * @param {{ claims: string, pid: string, pausePid: string, folder: string }} place
 * @returns {Promise<() => Promise<void>>} gives the claim up
 */
export async function claimEngine(place) {
  const { claims, pid, pausePid, folder } = place;
  const holder = spawn('sh', ['-c', HOLD, 'sh', claims, pid, folder, pausePid], {
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
  });
  holder.stdin.on('error', () => {}); // gone already: nothing is left to tell it
  const over = once(holder, 'exit');
  const held = await Promise.race([once(holder.stdout, 'data').then(() => true), over.then(() => false)]);
  if (!held) throw new Error(`no claim on the engine in ${folder}: flock, of util-linux, is wanted`);
  for (const each of [holder, holder.stdin, holder.stdout]) each.unref();
  return async () => {
    holder.ref();
    holder.stdin.end();
    const [code, signal] = await over;
    // Whoever killed it took the claim; the engine may have no other.
    if (signal) await (await claimEngine(place))();
    else if (code !== 0) say(`    the engine in ${folder} was told to end, and did not within ${END_SECONDS} s`);
  };
}
