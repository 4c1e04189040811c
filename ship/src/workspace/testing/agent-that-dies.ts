/** A process that starts a runner and a few processes in it, and waits to be killed by the test. */
import { startTestRunner, type SandboxKind } from './start-test-runner.js';

const { runner, config } = await startTestRunner(process.argv[2] as SandboxKind);
const started = await runner.spawn({
  argv: ['bash', '-c', 'setsid -f sleep 2003; echo up; sleep 2003; true'],
  name: 'x',
});
started.stderr.resume();
await new Promise((resolve) => started.stdout.once('data', resolve));
console.log(`ready ${config.runDir}\n`);
