/** Readers, clients, Bay and Ship that go away at the wrong moment: nothing is lost, nothing runs twice, every end is true. */
import { startOwnBay, type OwnBay } from '../../scripts/lib/bay.mjs';
import { killAgent } from './testing/kill-agent.js';
import { eventually } from './testing/processes.js';
import { readWithCuts, type Attach } from './testing/read-with-cuts.js';
import { foldLog } from './ways/fold.js';
import { eventsOf, v1Http } from './ways/v1-http.js';
import type { Ended } from '../../proto/gen/shipyard/execution/v1/execution.js';

let bay: OwnBay;
let shipId: string;
const SESSION = 'durable';

beforeAll(async () => {
  // Ships have to outlive Bay here, so they are not ephemeral; every test's ship is deleted at the end.
  bay = await startOwnBay({ BAY_EPHEMERAL: '' });
  shipId = await v1Http(bay).createShip(SESSION, { ttlSeconds: 900 });
}, 60_000);
afterAll(async () => {
  await v1Http(bay).deleteShip(shipId);
  await bay.stop();
}, 30_000);

const headers = () => ({
  authorization: `Bearer ${bay.token}`,
  'x-session-id': SESSION,
  'content-type': 'application/json',
});
const at = (path: string) => `${bay.url}/v1/ships/${shipId}${path}`;
const post = (path: string, body: object, signal?: AbortSignal) =>
  fetch(at(path), { method: 'POST', headers: headers(), body: JSON.stringify(body), signal: signal ?? null });
const get = (path: string, signal?: AbortSignal) => fetch(at(path), { headers: headers(), signal: signal ?? null });
const whole = async (id: string, from = 0) =>
  foldLog(eventsOf(await get(`/executions/${id}/events?from_sequence=${from}`)));
const causeOf = (ended: Ended) => ended.cause.replace('CAUSE_', '');
const unhurried = {
  cell: {
    code: 'import time\nfor i in range(10000):\n    print(str(i).zfill(999))\n    if i % 100 == 0: time.sleep(0.02)',
  },
};
const expected = Buffer.from(Array.from({ length: 10_000 }, (_, i) => `${String(i).padStart(999, '0')}\n`).join(''));

const attach =
  (id: string): Attach =>
  (from, signal) =>
    get(`/executions/${id}/events?from_sequence=${from}`, signal);

describe('readers', () => {
  it('receive every byte once, in order, over 200 cuts', async () => {
    void post('/executions', { executionId: 'cuts', ...unhurried }).then((response) => response.body?.cancel());
    await eventually('the execution is there', async () => (await get('/executions/cuts')).ok);
    expect((await readWithCuts(attach('cuts'), 200)).equals(expected)).toBe(true);
  }, 120_000);

  it('resume over server-sent events with Last-Event-ID, and are stopped by 204 beyond the end', async () => {
    const { events } = await foldLog(
      eventsOf(
        await post('/executions', { executionId: 'sse', cell: { code: 'for i in range(5): print(i, flush=True)' } }),
      ),
    );
    const last = events.at(-1)?.sequence ?? 0;
    const sse = (id: number) =>
      fetch(at('/executions/sse/events'), {
        headers: { ...headers(), accept: 'text/event-stream', 'last-event-id': `${id}` },
      });
    const text = await (await sse(1)).text();
    expect([...text.matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1]))).toEqual(
      Array.from({ length: last - 1 }, (_, i) => i + 2),
    );
    expect((await sse(last)).status).toBe(204);
  }, 30_000);
});

describe('Bay killed by SIGKILL', () => {
  it('loses no byte for a reader that comes back, and finds its ship again', async () => {
    void post('/executions', { executionId: 'bay-killed', ...unhurried }).then((response) => response.body?.cancel());
    await eventually('the execution is there', async () => (await get('/executions/bay-killed')).ok);
    let kills = 0;
    const bytes = await readWithCuts(attach('bay-killed'), 6, async (cut) => {
      if (cut !== 1 && cut !== 4) return;
      kills += 1;
      await bay.kill();
      await bay.restart();
    });
    expect(kills).toBe(2);
    expect(bytes.equals(expected)).toBe(true);
  }, 120_000);
});

describe('a client that leaves in the middle of a cell', () => {
  it('takes work without a name along, and the next cell sees nothing of it', async () => {
    const controller = new AbortController();
    const response = await post(
      '/executions',
      {
        cell: {
          code: "import time\nopen('left.txt', 'w').write('begun')\nfor i in range(600): print('old', flush=True); time.sleep(0.1)",
        },
      },
      controller.signal,
    );
    const reader = eventsOf(response);
    let id = '';
    for await (const event of reader) if (event.event?.$case === 'stdout') break;
    controller.abort();
    const list = async () =>
      (
        (await (await get('/executions?state=EXECUTION_STATE_RUNNING')).json()) as {
          executions?: { executionId: string }[];
        }
      ).executions ?? [];
    await eventually('no execution runs', async () => (await list()).length === 0, 5000);
    const { executions } = (await (await get('/executions')).json()) as { executions: { executionId: string }[] };
    id = executions.at(-1)?.executionId ?? '';
    expect(causeOf((await whole(id)).ended)).toBe('CANCELLED');
    const next = await foldLog(eventsOf(await post('/executions', { cell: { code: 'print("new")' } })));
    expect(next.stdout.toString()).toBe('new\n');
  }, 60_000);

  it('leaves named work running', async () => {
    const controller = new AbortController();
    const response = await post(
      '/executions',
      { executionId: 'stays', cell: { code: "import time\nprint('a', flush=True)\ntime.sleep(1)\nprint('b')" } },
      controller.signal,
    );
    for await (const event of eventsOf(response)) if (event.event?.$case === 'stdout') break;
    controller.abort();
    const log = await whole('stays');
    expect([log.stdout.toString(), causeOf(log.ended), log.ended.outcome?.$case]).toEqual([
      'a\nb\n',
      'NONE',
      'completed',
    ]);
  }, 30_000);
});

describe('truthful ends', () => {
  const outcome = async (request: object) => {
    const started = performance.now();
    const { ended, stdout } = await foldLog(eventsOf(await post('/executions', request)));
    return {
      seconds: (performance.now() - started) / 1000,
      outcome: ended.outcome,
      cause: causeOf(ended),
      statePreserved: ended.statePreserved,
      stdout: stdout.toString(),
    };
  };

  it.each([
    [
      'a cell at its deadline',
      { cell: { code: "print('kept', flush=True)\nimport time; time.sleep(60)" }, timeoutMs: 500 },
      { cause: 'DEADLINE', statePreserved: true, stdout: 'kept\n' },
    ],
    [
      'a cell stuck in C code at its deadline',
      { cell: { code: "print('kept', flush=True)\nsum(range(10**13))" }, timeoutMs: 500 },
      { cause: 'DEADLINE', statePreserved: false, stdout: 'kept\n' },
    ],
    [
      'a kernel that dies',
      { cell: { code: "print('kept', flush=True)\nimport os; os._exit(7)" } },
      { cause: 'NONE', statePreserved: false, stdout: 'kept\n', outcome: { $case: 'kernelDied' } },
    ],
    [
      'a command at its deadline',
      { command: { command: 'echo kept; sleep 60 & sleep 60' }, timeoutMs: 500 },
      { cause: 'DEADLINE', stdout: 'kept\n', outcome: { $case: 'signaled', value: { name: 'SIGTERM' } } },
    ],
    [
      'a command that traps its deadline',
      { command: { command: "trap 'exit 0' TERM; echo kept; while :; do sleep 0.05; done" }, timeoutMs: 500 },
      { cause: 'DEADLINE', stdout: 'kept\n', outcome: { $case: 'exited', value: { code: 0 } } },
    ],
    [
      'a command killed from inside',
      { command: { command: 'kill -KILL $$' } },
      { cause: 'NONE', outcome: { $case: 'signaled', value: { name: 'SIGKILL' } } },
    ],
    [
      'a command that does not exist',
      { command: { argv: ['/no/such/program'] } },
      { cause: 'NONE', outcome: { $case: 'couldNotStart' } },
    ],
  ])(
    '%s',
    async (_, request, expectation) => {
      const end = await outcome(request);
      expect(end).toMatchObject(expectation);
      expect(end.seconds).toBeLessThan(5);
      const next = await outcome({ cell: { code: 'print("next")' } });
      expect(next.stdout).toBe('next\n');
    },
    60_000,
  );

  it("never shows a cell the output of an earlier cell's thread", async () => {
    await outcome({
      cell: {
        code: "import threading, time\ndef late():\n    time.sleep(0.3)\n    print('late')\nthread = threading.Thread(target=late); thread.start()",
      },
    });
    expect((await outcome({ cell: { code: "thread.join(); print('own')" } })).stdout).toBe('own\n');
  }, 30_000);
});

describe('repeats', () => {
  it('start work once, whoever asks how often, and refuse the name for other work', async () => {
    const request = { executionId: 'once', cell: { code: "open('count.txt', 'a').write('x'); print('ran')" } };
    const logs = await Promise.all(
      [1, 2, 3].map(async () => (await foldLog(eventsOf(await post('/executions', request)))).stdout.toString()),
    );
    expect(logs).toEqual(['ran\n', 'ran\n', 'ran\n']);
    expect(
      (
        await foldLog(eventsOf(await post('/executions', { cell: { code: "print(open('count.txt').read())" } })))
      ).stdout.toString(),
    ).toBe('x\n');
    const other = await post('/executions', { executionId: 'once', cell: { code: 'print("other")' } });
    expect([other.status, ((await other.json()) as { error: { reason: string } }).error.reason]).toEqual([
      409,
      'EXECUTION_ID_REUSED',
    ]);
  }, 30_000);

  it('of input, interrupt and cancel act once', async () => {
    const running = post('/executions', {
      executionId: 'fed',
      command: {
        command:
          'trap \'echo interrupted\' INT; while read -r line; do echo "got $line"; echo "$line" >> fed.txt; done; sleep 60',
        stdin: true,
      },
    }).then(async (response) => foldLog(eventsOf(response)));
    await eventually(
      'the execution runs',
      async () =>
        ((await (await get('/executions/fed')).json()) as { state?: string }).state === 'EXECUTION_STATE_RUNNING',
    );
    const write = async (offset: number, data: string, eof = false) =>
      (
        await post('/executions/fed:write', { offset, data: Buffer.from(data).toString('base64'), eof })
      ).json() as Promise<{ acceptedOffset?: number; error?: { reason: string } }>;
    expect(await write(0, 'one\n')).toMatchObject({ acceptedOffset: 4 });
    expect(await write(0, 'one\n')).toMatchObject({ acceptedOffset: 4 });
    expect(await write(2, 'e\ntwo\n')).toMatchObject({ acceptedOffset: 8 });
    expect(await write(99, 'gap')).toMatchObject({ error: { reason: 'INPUT_GAP' } });
    // bash forgets a line that it is reading when a signal comes.
    await eventually('both lines were read', async () =>
      (await foldLog(eventsOf(await post('/executions', { command: { command: 'cat fed.txt' } })))).stdout.includes(
        'two',
      ),
    );
    for (let i = 0; i < 3; i++)
      expect((await post('/executions/fed:interrupt', { controlId: 'i-1' })).status).toBe(200);
    await write(8, '', true);
    for (let i = 0; i < 3; i++) expect((await post('/executions/fed:cancel', { controlId: 'c-1' })).status).toBe(200);
    const log = await running;
    expect(
      log.stdout
        .toString()
        .split('\n')
        .filter((line) => line.startsWith('got')),
    ).toEqual(['got one', 'got two']);
    expect(log.stdout.toString().match(/interrupted/g)?.length).toBe(1);
    expect(causeOf(log.ended)).toBe('CANCELLED');
    expect(
      ((await (await post('/executions/fed:signal', { signal: 'SIGTERM' })).json()) as { error: { reason: string } })
        .error.reason,
    ).toBe('EXECUTION_ENDED');
  }, 30_000);

  it('of an answer to input() are told apart', async () => {
    const events = eventsOf(
      await post('/executions', {
        executionId: 'asks',
        cell: { code: "print('hello', input('name? '))", allowStdin: true },
      }),
    );
    let request = 0;
    let text = '';
    for await (const { event, sequence } of events) {
      if (event?.$case === 'inputRequest') {
        request = sequence;
        expect((await post('/executions/asks:answer', { requestSequence: request, value: 'Ada' })).status).toBe(200);
        const second = await post('/executions/asks:answer', { requestSequence: request, value: 'Eve' });
        expect(['INPUT_ANSWERED', 'EXECUTION_ENDED']).toContain(
          ((await second.json()) as { error: { reason: string } }).error.reason,
        );
      }
      if (event?.$case === 'stdout') text += String(event.value.content?.value);
    }
    expect([request > 0, text]).toEqual([true, 'hello Ada\n']);
  }, 30_000);
});

describe('Ship killed by SIGKILL in the middle of a cell', () => {
  it('ends the execution as unknown, agent_lost, runs nothing twice, and numbers never go back', async () => {
    const response = await post('/executions', {
      executionId: 'lost',
      cell: {
        code: "import time\nopen('lost.txt', 'a').write('x')\nfor i in range(600):\n    print(i, flush=True)\n    time.sleep(0.05)",
      },
    });
    let last = 0;
    let seen = 0;
    const { containerId } = (await (await fetch(at(''), { headers: headers() })).json()) as { containerId: string };
    try {
      for await (const event of eventsOf(response)) {
        last = event.sequence;
        if (event.event?.$case === 'stdout' && ++seen === 5) await killAgent(containerId);
      }
    } catch {
      // The stream may end with an error, or be cut: both are told apart from `ended`.
    }
    await eventually(
      'the ship is seen to have stopped',
      async () =>
        ((await (await fetch(at(''), { headers: headers() })).json()) as { state: string }).state ===
        'SHIP_STATE_STOPPED',
      10_000,
    );
    expect(await v1Http(bay).createShip(SESSION, { ttlSeconds: 900 })).toBe(shipId);
    const log = await whole('lost', last);
    expect([log.ended.outcome?.$case, causeOf(log.ended)]).toEqual(['unknown', 'AGENT_LOST']);
    expect(log.events.at(-1)?.sequence).toBeGreaterThan(last);
    const again = await foldLog(
      eventsOf(
        await post('/executions', {
          executionId: 'lost',
          cell: {
            code: "import time\nopen('lost.txt', 'a').write('x')\nfor i in range(600):\n    print(i, flush=True)\n    time.sleep(0.05)",
          },
        }),
      ),
    );
    expect(again.ended.outcome?.$case).toBe('unknown');
    const { stdout } = await foldLog(
      eventsOf(await post('/executions', { cell: { code: "print(open('lost.txt').read())" } })),
    );
    expect(stdout.toString()).toBe('x\n');
  }, 90_000);
});
