/** A process that starts a runner and a few processes in it, and waits to be killed by the test. */
import { startTestRunner, type SandboxKind } from './start-test-runner.js';

const [kind, sleep] = process.argv.slice(2) as [SandboxKind, string];
const { runner, config } = await startTestRunner(kind);
const started = await runner.spawn({
  argv: ['bash', '-c', `setsid -f ${sleep}; echo up; ${sleep}; true`],
  name: 'x',
});
started.stderr.resume();
await new Promise((resolve) => started.stdout.once('data', resolve));
console.log(`ready ${config.runDir}\n`);
