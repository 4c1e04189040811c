/** A reader that takes nothing holds up nobody and costs the agent no memory: what it has not taken waits on disk. */
import type { StartExecutionRequest } from '../../proto/gen/shipyard/execution/v1/execution.js';
import { startOwnBay, type OwnBay } from '../../scripts/lib/bay.mjs';
import { agentOf, eventually, residentMiB } from './testing/processes.js';
import { openServices } from './ways/all-ways.js';
import { decodeEvents, startRequest } from './ways/calls-way.js';

const BYTES = 200_000_000;
const MAX_GROWTH_MIB = 16;
const WORK: Record<'cell' | 'command', StartExecutionRequest['work']> = {
  cell: {
    $case: 'cell',
    value: {
      code: "line = 'x' * 999\nfor _ in range(200_000): print(line)",
      silent: false,
      allowStdin: false,
      kernelGeneration: 0,
    },
  },
  command: {
    $case: 'command',
    value: {
      command: `head -c ${BYTES} /dev/zero | tr '\\0' x`,
      argv: [],
      cwd: '',
      env: {},
      stdin: false,
      background: false,
    },
  },
};

let bay: OwnBay;
let services: Awaited<ReturnType<typeof openServices>>;
let name: { shipId: string; sessionId: string };
let agent: number;

beforeAll(async () => {
  bay = await startOwnBay();
  services = await openServices(bay);
  const sessionId = 'slow';
  const { shipId } = await services.mux.bay.createShip({
    sessionId,
    ttlSeconds: 600,
    maxSessionNum: 1,
    spec: undefined,
  });
  name = { shipId, sessionId };
  agent = agentOf(shipId);
}, 60_000);
afterAll(async () => {
  for (const { close } of Object.values(services)) await close();
  await bay.stop();
}, 30_000);

async function bytesOf(events: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const { event } of decodeEvents(events))
    if (event?.$case === 'stdout') bytes += Buffer.byteLength(event.value.content?.value ?? '');
  return bytes;
}

describe.each(['gRPC', 'mux', 'mux on a socket'] as const)('a reader over %s that takes nothing of 200 MB', (way) => {
  it.each(['cell', 'command'] as const)(
    'grows the agent by no more than 16 MiB, and loses nothing: a %s',
    async (kind) => {
      const { executions } = services[way];
      const run = (executionId: string) =>
        executions.startExecution(startRequest({ ...name, executionId, work: WORK[kind] }));
      // What the agent needs for the work itself it has afterwards.
      expect(await bytesOf(run(`warm-${way.replaceAll(' ', '-')}-${kind}`))).toBe(BYTES);

      const before = residentMiB(agent);
      let peak = 0;
      const executionId = `slow-${way.replaceAll(' ', '-')}-${kind}`;
      const slow = run(executionId)[Symbol.asyncIterator]();
      await slow.next();
      await eventually(
        'the work has ended',
        async () => {
          peak = Math.max(peak, residentMiB(agent));
          return (await executions.getExecution({ ...name, executionId })).ended !== undefined;
        },
        120_000,
      );
      expect(peak - before).toBeLessThan(MAX_GROWTH_MIB);
      expect(await bytesOf({ [Symbol.asyncIterator]: () => slow })).toBe(BYTES);
    },
    300_000,
  );
});
