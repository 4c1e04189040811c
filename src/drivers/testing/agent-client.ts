import { ExecutionEvent, Lifetime } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import { ExecutionServiceDefinition } from '../../../proto/gen/shipyard/execution/v1/execution_service.js';
import { ShipServiceDefinition } from '../../../proto/gen/shipyard/ship/v1/ship.js';
import { createClient } from '../../../proto/rpc/client.js';
import { foldLog } from '../../e2e/ways/fold.js';
import { shipDialer, type DialledShip } from '../../ship-clients/dial-ship.js';
import type { RunAnswer } from '../conformance.js';
import type { Endpoint } from '../driver.js';

const TIMEOUT_MS = 30_000;
const SESSION = { sessionId: 'session', uid: 10_000, homeName: 'session-10000' };

/** Asks a real agent who it is. */
export function helloOf(endpoint: Endpoint, token: string) {
  return connected(endpoint, token, async ({ hello }) => ({ shipId: hello.shipId, incarnation: hello.incarnation }));
}

/** Runs `sh -c command` in the workspace of one session of a real agent. */
export function runIn(endpoint: Endpoint, token: string, command: string): Promise<RunAnswer> {
  return connected(endpoint, token, async ({ hello, transport }) => {
    const fence = { incarnation: hello.incarnation, number: 1 };
    await createClient(ShipServiceDefinition, transport).bindSession({ fence, ...SESSION }, { timeoutMs: TIMEOUT_MS });
    const work = {
      $case: 'command' as const,
      value: { command, argv: [], cwd: '', env: {}, stdin: false, background: false },
    };
    const events = createClient(ExecutionServiceDefinition, transport).startExecution({
      ...{ shipId: hello.shipId, sessionId: SESSION.sessionId, executionId: '', lifetime: Lifetime.UNSPECIFIED },
      ...{ timeoutMs: 0, queueTimeoutMs: 0, work },
    });
    const { ended, stdout, stderr } = await foldLog(decoded(events));
    const code = ended.outcome?.$case === 'exited' ? ended.outcome.value.code : String(ended.outcome?.$case);
    return { code, stdout: stdout.toString(), stderr: stderr.toString() };
  });
}

async function* decoded(events: AsyncIterable<Uint8Array>) {
  for await (const event of events) yield ExecutionEvent.decode(event);
}

async function connected<T>(endpoint: Endpoint, token: string, use: (ship: DialledShip) => Promise<T>): Promise<T> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const ship = await shipDialer.dial(endpoint, { token, signal, timeoutMs: TIMEOUT_MS });
  try {
    return await use(ship);
  } finally {
    ship.close();
  }
}
