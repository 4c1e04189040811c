import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  AttachExecutionRequest,
  CancelExecutionRequest,
  Cause,
  ExecutionEvent,
  ExecutionState,
  GetKernelRequest,
  Lifetime,
  ListExecutionsRequest,
  RestartKernelRequest,
  RunExecutionRequest,
  SignalExecutionRequest,
  StartExecutionRequest,
  type StartExecutionRequest as Start,
  WriteInputRequest,
} from '../../proto/gen/shipyard/execution/v1/execution.js';
import type { WatchEvent } from '../../proto/gen/shipyard/ship/v1/ship.js';
import { openGrpcChannel } from '../../proto/rpc/grpc-client.js';
import { createClient } from '../../proto/rpc/client.js';
import { ExecutionServiceDefinition } from '../../proto/gen/shipyard/execution/v1/execution_service.js';
import { StatusError } from '../../proto/rpc/status-error.js';
import { AgentBench, TOKEN } from './testing/agent-bench.js';

const FENCE = { incarnation: 3, number: 5 };

async function reasonOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'OK',
    (error: unknown) => StatusError.from(error).reason,
  );
}

async function failureOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'OK',
    (error: unknown) => `${StatusError.from(error).reason}: ${StatusError.from(error).message}`,
  );
}

async function drain(events: AsyncIterable<Uint8Array>): Promise<ExecutionEvent[]> {
  const all: ExecutionEvent[] = [];
  for await (const event of events) all.push(ExecutionEvent.decode(event));
  return all;
}

const command = (executionId: string, more: Partial<Start> = {}): Start =>
  StartExecutionRequest.fromPartial({
    sessionId: 's',
    executionId,
    work: { $case: 'command', value: { command: 'true', stdin: true } },
    ...more,
  });

/** Waits for what comes by itself. */
async function until(what: () => boolean): Promise<void> {
  for (let tries = 0; !what(); tries++) {
    if (tries > 500) throw new Error('it did not come');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('the agent', () => {
  let bench: AgentBench;
  let clients: Awaited<ReturnType<AgentBench['clients']>>;

  beforeEach(async () => {
    bench = await AgentBench.start();
    clients = await bench.clients();
    await clients.ship.bindSession({ fence: FENCE, sessionId: 's', uid: 1001, homeName: 'h1' });
  });

  afterEach(() => bench[Symbol.asyncDispose]());

  it('says who it is, and serves nobody without its token', async () => {
    const { hello } = await bench.link();
    expect(hello).toMatchObject({ shipId: 'ship-1', incarnation: 3, agentVersion: 'test' });
    expect(await reasonOf(bench.link('c'.repeat(64)))).toBe('TOKEN_INVALID');
    const address = bench.agent.server.address;
    for (const [metadata, reason] of [
      [undefined, 'TOKEN_MISSING'],
      [{ authorization: 'Bearer x' }, 'TOKEN_INVALID'],
      [{ authorization: `Bearer ${TOKEN}` }, 'OK'],
    ] as const) {
      const channel = openGrpcChannel(address, metadata ? { metadata } : {});
      const executions = createClient(ExecutionServiceDefinition, channel);
      const call = executions.listExecutions(ListExecutionsRequest.fromPartial({ sessionId: 's' }));
      expect(await reasonOf(call)).toBe(reason);
      channel.close();
    }
  });

  it('runs work and folds its log', async () => {
    const running = clients.executions.runExecution(
      RunExecutionRequest.fromPartial({ start: command('a'), maxOutputBytes: 10 }),
    );
    await until(() => bench.commands.begun.length === 1);
    bench.commands.work('a').print('0123456789é');
    void bench.commands.work('a').execution.output('stderr', Buffer.from('more'));
    bench.commands.work('a').finish();
    const answer = await running;
    expect(answer).toMatchObject({ executionId: 'a', truncated: true, nextSequence: 3, started: { pid: 7 } });
    expect(answer.stdout.toString()).toBe('0123456789');
    expect(answer.ended?.outcome).toEqual({ $case: 'exited', value: { code: 0 } });
    const events = await drain(
      clients.executions.attachExecution(
        AttachExecutionRequest.fromPartial({ sessionId: 's', executionId: 'a', fromSequence: answer.nextSequence }),
      ),
    );
    expect(events.map(({ event }) => event?.$case)).toEqual(['stdout', 'stderr', 'ended']);
  });

  it('keeps named work when its call goes, and cancels work that belongs to the call', async () => {
    for (const [id, lifetime] of [
      ['named', Lifetime.UNSPECIFIED],
      ['called', Lifetime.CALL],
    ] as const) {
      const call = new AbortController();
      const reading = drain(clients.executions.startExecution(command(id, { lifetime }), { signal: call.signal }));
      await until(() => bench.commands.begun.some((work) => work.execution.executionId === id));
      call.abort();
      expect(await reasonOf(reading)).toBe('CANCELLED');
    }
    await until(() => bench.commands.work('called').stops.length > 0);
    expect(bench.commands.work('named').stops).toEqual([]);
  });

  it('keeps work of a call for a while when the whole link is lost, for whoever comes back', async () => {
    const link = await bench.link();
    const lost = await bench.clients(link);
    const reading = drain(lost.executions.startExecution(command('a', { lifetime: Lifetime.CALL })));
    await until(() => bench.commands.begun.length === 1);
    link.connection.close();
    await reasonOf(reading);
    const again = drain(
      clients.executions.attachExecution(
        AttachExecutionRequest.fromPartial({ sessionId: 's', executionId: 'a', fromSequence: 2 }),
      ),
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(bench.commands.work('a').stops).toEqual([]);
    bench.commands.work('a').finish();
    expect((await again).map(({ sequence }) => sequence)).toEqual([2, 3]);
  });

  it('lets a session in with one uid, and no more sessions than there are seats', async () => {
    const bind = (sessionId: string, uid: number, homeName: string): Promise<unknown> =>
      clients.ship.bindSession({ fence: FENCE, sessionId, uid, homeName });
    expect(await bind('s', 1001, 'h1')).toEqual({ home: '/home/h1', workspace: '/home/h1/workspace' });
    expect(bench.opened).toHaveLength(1);
    expect(await reasonOf(bind('s', 1002, 'h1'))).toBe('FENCED');
    expect(await reasonOf(bind('t', 1001, 'h2'))).toBe('FENCED');
    expect(await reasonOf(bind('t', 1002, 'h2'))).toBe('OK');
    expect(await reasonOf(bind('u', 1003, 'h3'))).toBe('SESSION_LIMIT_REACHED');
  });

  it('obeys the newest fence only', async () => {
    const lease = (incarnation: number, number: number): Promise<string> =>
      reasonOf(clients.ship.setLease({ fence: { incarnation, number }, remainingMs: 1000 }));
    expect(await lease(3, 7)).toBe('OK');
    expect(await lease(3, 7)).toBe('OK');
    expect(await lease(3, 6)).toBe('FENCED');
    expect(await lease(2, 8)).toBe('FENCED');
    expect(await failureOf(clients.ship.setLease({ fence: undefined, remainingMs: 1 }))).toBe(
      'INVALID_ARGUMENT: fence is missing',
    );
  });

  it('ends a session with everything of it, and lets it come back', async () => {
    const reading = drain(clients.executions.startExecution(command('a')));
    await until(() => bench.commands.begun.length === 1);
    await clients.ship.endSession({ fence: FENCE, sessionId: 's' });
    expect((await reading).at(-1)!.event).toMatchObject({ value: { cause: Cause.SESSION_ENDED } });
    expect(bench.closed).toEqual(['s']);
    expect(await reasonOf(drain(clients.executions.startExecution(command('b'))))).toBe('SESSION_NOT_BOUND');
    await clients.ship.endSession({ fence: FENCE, sessionId: 's' });
    await clients.ship.bindSession({ fence: FENCE, sessionId: 's', uid: 1001, homeName: 'h1' });
    const events = await drain(clients.executions.startExecution(command('a')));
    expect(events.at(-1)!.event).toMatchObject({ value: { cause: Cause.SESSION_ENDED } });
  });

  it('restarts a kernel once for one control id', async () => {
    const restart = (controlId: string): Promise<{ generation: number }> =>
      clients.executions.restartKernel(RestartKernelRequest.fromPartial({ sessionId: 's', controlId }));
    expect(await reasonOf(clients.executions.getKernel(GetKernelRequest.fromPartial({ sessionId: 's' })))).toBe(
      'KERNEL_NOT_FOUND',
    );
    expect((await restart('one')).generation).toBe(1);
    expect((await restart('one')).generation).toBe(1);
    expect((await restart('two')).generation).toBe(2);
    expect(bench.kernels.restarts).toBe(2);
    const cell = (kernelGeneration: number): Promise<string> =>
      reasonOf(
        drain(
          clients.executions.startExecution(
            StartExecutionRequest.fromPartial({
              sessionId: 's',
              executionId: `g${kernelGeneration}`,
              work: { $case: 'cell', value: { code: '1', kernelGeneration } },
            }),
            { timeoutMs: 300 },
          ),
        ),
      );
    expect(await cell(1)).toBe('KERNEL_STATE_LOST');
    expect(await cell(2)).toBe('DEADLINE_EXCEEDED');
    expect(bench.cells.begun).toHaveLength(1);
  });

  it('tells watchers a snapshot and then changes', async () => {
    const leave = new AbortController();
    const seen: WatchEvent[] = [];
    const watching = reasonOf(
      (async () => {
        for await (const event of clients.ship.watch({}, { signal: leave.signal })) seen.push(event);
      })(),
    );
    await until(() => seen.length === 1);
    expect(seen[0]!.event).toMatchObject({ $case: 'snapshot', value: { sessions: [{ sessionId: 's', uid: 1001 }] } });
    void drain(clients.executions.startExecution(command('a'))).catch(() => undefined);
    await until(() => seen.some(({ event }) => event?.$case === 'execution'));
    bench.commands.work('a').finish();
    await until(() =>
      seen.some(({ event }) => event?.$case === 'execution' && event.value.state === ExecutionState.ENDED),
    );
    leave.abort();
    expect(await watching).toBe('CANCELLED');
  });

  it('tells watchers that it ends before its work has ended', async () => {
    const seen: (WatchEvent['event'] & object)['$case'][] = [];
    const watching = (async () => {
      for await (const { event } of clients.ship.watch({})) if (event) seen.push(event.$case);
    })();
    await until(() => seen.length === 1);
    void drain(clients.executions.startExecution(command('a'))).catch(() => undefined);
    await until(() => seen.includes('execution'));
    await clients.ship.shutdown({ fence: FENCE, graceMs: 1 });
    await watching;
    expect(seen.indexOf('stopping')).toBeGreaterThan(0);
    expect(seen.lastIndexOf('execution')).toBeGreaterThan(seen.indexOf('stopping'));
  });

  it('answers a shutdown when all work has ended, and is gone', async () => {
    const reading = drain(clients.executions.startExecution(command('a')));
    const watching = (async () => {
      for await (const _ of clients.ship.watch({})) continue;
    })();
    await until(() => bench.commands.begun.length === 1);
    await clients.ship.shutdown({ fence: FENCE, graceMs: 100 });
    expect((await reading).at(-1)!.event).toMatchObject({ value: { cause: Cause.SHIP_STOPPED } });
    await watching;
    await bench.agent.ended;
    expect(bench.closed).toEqual(['s']);
    expect(existsSync(bench.socketPath)).toBe(false);
  });

  it('prepares the session that it is made for before anybody binds it, and once', async () => {
    const firstSession = { sessionId: 'first', uid: 1001, homeName: 'h1' };
    await using other = await AgentBench.start({ config: { firstSession } });
    await until(() => other.opened.length > 0);
    const { ship } = await other.clients();
    await ship.bindSession({ fence: FENCE, ...firstSession });
    await ship.bindSession({ fence: FENCE, sessionId: 'second', uid: 1002, homeName: 'h2' });
    expect(other.opened.map(({ sessionId }) => sessionId)).toEqual(['first', 'second']);
  });

  it('starts the kernel of that session ahead, and drops it when a command comes before any cell', async () => {
    const firstSession = { sessionId: 's', uid: 1001, homeName: 'h1' };
    await using other = await AgentBench.start({ config: { firstSession, incarnation: 1 } });
    await until(() => other.kernels.prepared.has('s'));
    const { ship, executions } = await other.clients();
    await ship.bindSession({ fence: { incarnation: 1, number: 1 }, ...firstSession });
    void drain(executions.startExecution(command('a'))).catch(() => undefined);
    await until(() => other.commands.begun.length === 1);
    expect(other.kernels.prepared.has('s')).toBe(false);
    other.commands.work('a').finish();
  });

  it('starts none ahead in a later life, whose home may hold what runs when Python starts', async () => {
    const firstSession = { sessionId: 's', uid: 1001, homeName: 'h1' };
    await using other = await AgentBench.start({ config: { firstSession, incarnation: 2 } });
    await until(() => other.opened.length > 0);
    const { ship } = await other.clients();
    await ship.bindSession({ fence: { incarnation: 2, number: 1 }, ...firstSession });
    expect([...other.kernels.prepared]).toEqual([]);
  });

  it('shares its socket with other users where it is told to', async () => {
    const path = join(bench.directory, 'shared', 'agent.sock');
    await using other = await AgentBench.start({ config: { listen: { kind: 'unix', path, shared: true } } });
    expect((await other.link()).hello.shipId).toBe('ship-1');
    expect(statSync(path).mode & 0o777).toBe(0o666);
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o711);
    expect(statSync(bench.socketPath).mode & 0o022).toBe(0);
  });

  it('ends by itself soon after its last link where it is ephemeral', async () => {
    await using other = await AgentBench.start({ config: { ephemeral: true } });
    const link = await other.link();
    link.connection.close();
    await other.agent.ended;
  }, 15_000);

  describe.each<[string, () => Promise<unknown>, string]>([
    [
      'no session',
      () => drain(clients.executions.startExecution(command('a', { sessionId: '' }))),
      'session_id is missing',
    ],
    [
      'a session id that is too long',
      () => drain(clients.executions.startExecution(command('a', { sessionId: 'x'.repeat(1025) }))),
      'session_id must have at most 1024 bytes',
    ],
    [
      'an id out of the grammar',
      () => drain(clients.executions.startExecution(command('a/b'))),
      'execution_id must match [A-Za-z0-9._-]{1,128}: a/b',
    ],
    [
      'the reserved id',
      () => drain(clients.executions.startExecution(command('background'))),
      'execution_id is reserved: background',
    ],
    [
      'no work',
      () => drain(clients.executions.startExecution(command('a', { work: undefined }))),
      'one of cell, command and terminal is missing',
    ],
    [
      'a negative deadline',
      () => drain(clients.executions.startExecution(command('a', { timeoutMs: -1 }))),
      'timeout_ms must not be negative: -1',
    ],
    [
      'an empty command',
      () =>
        drain(
          clients.executions.startExecution(
            StartExecutionRequest.fromPartial({ sessionId: 's', work: { $case: 'command', value: {} } }),
          ),
        ),
      'command.command is missing',
    ],
    [
      'a command with NUL',
      () =>
        drain(
          clients.executions.startExecution(
            StartExecutionRequest.fromPartial({
              sessionId: 's',
              work: { $case: 'command', value: { command: 'a\0b' } },
            }),
          ),
        ),
      'command.command must not hold NUL',
    ],
    [
      'a terminal that is too wide',
      () =>
        drain(
          clients.executions.startExecution(
            StartExecutionRequest.fromPartial({
              sessionId: 's',
              work: { $case: 'terminal', value: { size: { columns: 1001, rows: 1 } } },
            }),
          ),
        ),
      'terminal.size.columns must be 1 to 1000: 1001',
    ],
    [
      'a negative cursor',
      () =>
        drain(
          clients.executions.attachExecution(
            AttachExecutionRequest.fromPartial({ sessionId: 's', executionId: 'a', fromSequence: -1 }),
          ),
        ),
      'from_sequence must not be negative: -1',
    ],
    [
      'a fold that is too large',
      () =>
        clients.executions.runExecution(
          RunExecutionRequest.fromPartial({ start: command('a'), maxOutputBytes: 3 * 1024 * 1024 + 1 }),
        ),
      'max_output_bytes must be 0 to 3145728: 3145729',
    ],
    ['no start', () => clients.executions.runExecution(RunExecutionRequest.fromPartial({})), 'start is missing'],
    [
      'a signal of no such name',
      () =>
        clients.executions.signalExecution(
          SignalExecutionRequest.fromPartial({ sessionId: 's', executionId: 'none', signal: 'SIGNONE' }),
        ),
      'signal must be the name of a signal, such as SIGTERM: SIGNONE',
    ],
    [
      'a negative offset',
      () =>
        clients.executions.writeInput(
          WriteInputRequest.fromPartial({ sessionId: 's', executionId: 'none', offset: -1 }),
        ),
      'offset must not be negative: -1',
    ],
    [
      'a home that leads elsewhere',
      () => clients.ship.bindSession({ fence: FENCE, sessionId: 't', uid: 1, homeName: '..' }),
      'home_name must match [A-Za-z0-9._-]{1,64} and not be . or ..: ..',
    ],
    [
      'uid 0',
      () => clients.ship.bindSession({ fence: FENCE, sessionId: 't', uid: 0, homeName: 'h' }),
      'uid must be 1 to 4294967294: 0',
    ],
    [
      'too long a grace',
      () => clients.ship.shutdown({ fence: FENCE, graceMs: 10_001 }),
      'grace_ms must be 0 to 10000: 10001',
    ],
  ])('given %s', (_, call, message) => {
    it('says what is wrong', async () => {
      expect(await failureOf(call())).toBe(`INVALID_ARGUMENT: ${message}`);
    });
  });

  it('knows nothing of executions that are not there or not of the session', async () => {
    await clients.ship.bindSession({ fence: FENCE, sessionId: 't', uid: 1002, homeName: 'h2' });
    void drain(clients.executions.startExecution(command('a'))).catch(() => undefined);
    await until(() => bench.commands.begun.length === 1);
    for (const [sessionId, executionId, reason] of [
      ['t', 'a', 'EXECUTION_NOT_FOUND'],
      ['s', 'b', 'EXECUTION_NOT_FOUND'],
      ['nobody', 'a', 'SESSION_NOT_BOUND'],
      ['s', 'a', 'OK'],
      ['s', 'a', 'OK'],
    ] as const) {
      const request = CancelExecutionRequest.fromPartial({ sessionId, executionId });
      expect(await reasonOf(clients.executions.cancelExecution(request))).toBe(reason);
    }
  });
});
