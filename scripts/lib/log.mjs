let output = process.stdout;

/** Lines for people; the only output of the scripts besides that of the tools they call. */
export const say = (text) => output.write(`${text}\n`);
/** From now on they go to standard error: standard output is for a program. */
export const leaveOutputAlone = () => void (output = process.stderr);
export const step = (text) => say(`\x1b[1m==> ${text}\x1b[0m`);

/** Ends the script with a message; exit codes: 1 failure, 2 wrong use, 3 something must be installed by hand. */
export function fail(text, code = 1) {
  process.stderr.write(`\n${text}\n`);
  process.exit(code);
}

export const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;
