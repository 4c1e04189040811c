/** An exit code as shells and engines say it: 128 + SIGKILL. */
export const KILLED = 137;

export const OUT_OF_MEMORY = 'the kernel ended it for want of memory';

/** Why an agent is gone, for people. */
export function reasonOf(exitCode: number | undefined): string {
  if (exitCode === undefined) return 'its processes ended';
  return exitCode > 128
    ? `the agent was ended by signal ${exitCode - 128}`
    : `the agent ended with exit code ${exitCode}`;
}
