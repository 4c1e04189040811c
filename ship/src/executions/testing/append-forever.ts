/**
 * Appends to an execution until it is killed: `append-forever <state directory> <incarnation>`. Says every number that it
 * delivered to a reader, one a line, so that the test knows what anybody can have seen.
 */
import { ExecutionEvent } from '../../../../proto/gen/shipyard/execution/v1/execution.js';
import { systemClock } from '../clock.js';
import { ExecutionRegistry } from '../execution-registry.js';
import { silentLog } from './log-bench.js';
import { cell } from './registry-bench.js';
import { ScriptedKind } from './scripted-kind.js';

const [directory, incarnation] = process.argv.slice(2) as [string, string];
const kind = new ScriptedKind();
const registry = new ExecutionRegistry({
  stateDir: directory,
  incarnation: Number(incarnation),
  clock: systemClock,
  log: silentLog,
  executionMaxBytes: 1024 ** 3,
  shipMaxBytes: 4 * 1024 ** 3,
  kind: async () => kind,
});
registry.open();
registry.openSession('s');
const ended = await registry.start(cell('ended', `${incarnation}`, { sessionId: `s${incarnation}` }));
while (kind.begun.length === 0) await new Promise((resolve) => setImmediate(resolve));
kind.begun[0]!.print('all of it');
kind.begun[0]!.finish({ outcome: { $case: 'completed', value: {} } });
for await (const _ of registry.read(ended, 0)) continue;

const entry = await registry.start(cell('a'));
process.stdout.write(`begun ${kind.begun.length}\n`);
void (async () => {
  for await (const event of registry.read(entry, 0)) {
    const { sequence, event: body } = ExecutionEvent.decode(event);
    process.stdout.write(`${sequence} ${body?.$case}\n`);
  }
  process.stdout.write('over\n');
})();
while (kind.begun.length < 2 && !entry.end) await new Promise((resolve) => setImmediate(resolve));
for (let line = 0; !entry.end; line++) {
  for (let each = 0; each < 50; each++)
    await kind.begun[1]!.execution.append({ $case: 'clearOutput', value: { wait: false } });
  await new Promise((resolve) => setImmediate(resolve));
}
setInterval(() => undefined, 1000);
