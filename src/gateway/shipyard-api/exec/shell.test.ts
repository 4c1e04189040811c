import { Cause, Lifetime, type StartExecutionRequest } from '../../../../proto/gen/shipyard/execution/v1/execution.js';
import { StatusError } from '../../../../proto/rpc/status-error.js';
import { HEADERS, startApi, type TestApi } from '../testing/start-api.js';
import { ended, exited, output, SHIP_ID, signaled, started, type Script } from '../testing/fake-shipyard.js';

let api: TestApi;
beforeEach(async () => (api = await startApi()));
afterEach(() => api.close());

interface ShellAnswer {
  success: boolean;
  error: string | null;
  stdout: string;
  exit_code: number;
  data: Record<string, unknown>;
}

async function run(script: ReturnType<Script>, payload: object = {}): Promise<ShellAnswer> {
  api.shipyard.script = () => script;
  const answer = await api.exec('shell/exec', { command: 'x', ...payload });
  expect(answer.status).toBe(200);
  return answer.json as ShellAnswer;
}

const lastRequest = () => api.shipyard.runs.at(-1)?.request as StartExecutionRequest;

describe('shell/exec', () => {
  it('answers every documented key, and those that AstrBot reads', async () => {
    const answer = await run([
      started(7),
      output('stdout', ' \n out\n'),
      output('stderr', '\u3000warning\x1f\n'),
      exited(0),
    ]);
    expect(Object.keys(answer)).toEqual(['success', 'data', 'error', 'stdout', 'exit_code']);
    expect(Object.keys(answer.data)).toEqual([
      'success',
      'return_code',
      'stdout',
      'stderr',
      'pid',
      'error',
      'process_id',
    ]);
    const { process_id, ...data } = answer.data;
    expect(data).toEqual({ success: true, return_code: 0, stdout: 'out', stderr: 'warning', pid: 7, error: null });
    expect(process_id).toMatch(/^[0-9a-f]{8,}$/);
    expect(answer).toMatchObject({ success: true, error: null, stdout: 'out', exit_code: 0 });
  });

  it('stays a success of the ship when the command fails, with stderr as the error', async () => {
    const answer = await run([started(7), output('stderr', 'no such\n'), exited(2)]);
    expect(answer).toMatchObject({ success: true, error: 'no such', stdout: '', exit_code: 2 });
    expect(answer.data).toMatchObject({ success: false, return_code: 2, stderr: 'no such', error: null });
  });

  it('has no error text where a failing command wrote none', async () => {
    expect(await run([started(7), exited(1)])).toMatchObject({ error: null, exit_code: 1 });
  });

  it('tells a signal as a negative code', async () => {
    expect((await run([started(7), signaled('SIGKILL')])).data).toMatchObject({
      success: false,
      return_code: -9,
      error: null,
    });
  });

  it('returns what was written until the deadline', async () => {
    const answer = await run([
      started(7),
      output('stdout', 'partial\n'),
      output('stderr', 'half'),
      signaled('SIGTERM', { cause: Cause.DEADLINE }),
    ]);
    expect(answer).toMatchObject({ success: true, error: 'half\nCommand timed out', stdout: 'partial', exit_code: -1 });
    const data = { success: false, return_code: -1, stdout: 'partial', pid: 7, error: 'Command timed out' };
    expect(answer.data).toMatchObject(data);
  });

  it('is a timeout also where the command left with 0 at its deadline', async () => {
    const answer = await run([started(7), exited(0, { cause: Cause.DEADLINE })]);
    expect(answer.data).toMatchObject({ success: false, return_code: -1, error: 'Command timed out' });
  });

  it.each([
    [Cause.CANCELLED, 'Command was cancelled'],
    [Cause.OOM, 'Command was ended: memory ran out'],
    [Cause.SHIP_STOPPED, 'Command was ended: the ship was stopped'],
    [Cause.AGENT_LOST, "Command was ended: the ship's agent was lost"],
  ])('says who ended it: %s', async (cause, error) => {
    expect((await run([started(7), signaled('SIGKILL', { cause })])).data).toMatchObject({
      success: false,
      return_code: -1,
      error,
    });
  });

  it('says why it could not start', async () => {
    const answer = await run([ended({ $case: 'couldNotStart', value: { reason: 'no such directory: nope' } })]);
    expect(answer.data).toMatchObject({ success: false, return_code: -1, pid: null, error: 'no such directory: nope' });
  });

  it('refuses a working directory outside the workspace as Ship refuses every such path', async () => {
    const denied = 'Access denied: path must be within workspace /home/user/workspace';
    const reason = `PATH_OUTSIDE_WORKSPACE: ${denied}`;
    api.shipyard.script = () => [ended({ $case: 'couldNotStart', value: { reason } })];
    for (const background of [false, true]) {
      const answer = await api.exec('shell/exec', { command: 'pwd', cwd: '/etc', background });
      expect([answer.status, answer.json]).toEqual([400, { detail: `Ship returned 403: {"detail":"${denied}"}` }]);
    }
  });

  it('keeps output that is not UTF-8', async () => {
    const bytes = Buffer.from([0x61, 0xff, 0x62]);
    const answer = await run([
      started(7),
      output('stdout', ' x'),
      output('stdout', bytes),
      output('stderr', 'ok'),
      exited(0),
    ]);
    const base64 = Buffer.concat([Buffer.from(' x'), bytes]).toString('base64');
    expect(answer.data).toMatchObject({ stdout: 'xa\ufffdb', stdout_base64: base64, stderr: 'ok' });
    expect(answer.data).not.toHaveProperty('stderr_base64');
  });

  it('says where the log lost a part', async () => {
    const lost = { $case: 'truncated', value: { first: 1, last: 5, bytes: 10 } } as const;
    expect((await run([started(7), lost, output('stdout', 'rest'), exited(0)])).data).toMatchObject({
      stdout: 'rest',
      truncated: true,
    });
  });

  it('sends the documented defaults', async () => {
    await run([started(7), exited(0)]);
    expect(lastRequest()).toMatchObject({
      shipId: SHIP_ID,
      lifetime: Lifetime.CALL,
      timeoutMs: 30_000,
      work: { $case: 'command', value: { command: 'x', argv: [], cwd: '', env: {}, stdin: false, background: false } },
    });
  });

  it.each([
    [{ timeout: null }, 0],
    [{ timeout: 300 }, 300_000],
    [{ timeout: 0 }, 1],
    [{ timeout: -5 }, 1],
    [{ timeout: 1e12 }, 2 ** 31 - 1],
  ])('turns %j into a bound of %d ms', async (payload, timeoutMs) => {
    await run([started(7), exited(0)], payload);
    expect(lastRequest().timeoutMs).toBe(timeoutMs);
  });

  it('hands cwd and env on', async () => {
    await run([started(7), exited(0)], { cwd: 'sub', env: { A: '1', __proto__x: '2' } });
    expect(lastRequest().work?.value).toMatchObject({ cwd: 'sub', env: { A: '1', __proto__x: '2' } });
  });

  it.each([
    [`a 'b c' "d \\"e\\" \\f" g\\ h ''`, ['a', 'b c', 'd "e" \\f', 'g h', '']],
    ['  a#b\t$HOME\n*', ['a#b', '$HOME', '*']],
  ])('splits %j without a shell', async (command, argv) => {
    await run([started(7), exited(0)], { command, shell: false });
    expect(lastRequest().work?.value).toMatchObject({ command: '', argv });
  });

  it.each([
    [{ command: "a 'b", shell: false }, 'No closing quotation'],
    [{ command: 'a \\', shell: false }, 'No escaped character'],
    [{ command: '', shell: false }, 'empty command'],
    [{ command: 'a\0b' }, 'embedded null byte'],
    [{ env: { 'A=B': '1' } }, 'illegal environment variable name'],
    [{ env: { A: '\0' } }, 'embedded null byte'],
  ])('answers %j as a command that did not start', async (payload, error) => {
    const answer = await run([started(7), exited(0)], payload);
    expect(answer).toMatchObject({ success: true, error, exit_code: -1, stdout: '' });
    expect(answer.data).toEqual({ success: false, return_code: -1, stdout: '', stderr: '', pid: null, error });
    expect(api.shipyard.runs).toEqual([]);
  });

  it('runs an empty command line as a shell does', async () => {
    await run([started(7), exited(0)], { command: '' });
    expect(lastRequest().work?.value).toMatchObject({ command: ':' });
  });

  it('cancels the work of a client that leaves', async () => {
    let running: () => void = () => undefined;
    const isRunning = new Promise<void>((resolve) => (running = resolve));
    api.shipyard.script = async function* () {
      yield started(7);
      running();
      await new Promise(() => undefined);
    };
    const leave = new AbortController();
    const body = JSON.stringify({ type: 'shell/exec', payload: { command: 'sleep 100' } });
    const url = `http://127.0.0.1:${api.port}/ship/${SHIP_ID}/exec`;
    const request = fetch(url, { method: 'POST', headers: HEADERS, body, signal: leave.signal });
    await isRunning;
    leave.abort();
    await expect(request).rejects.toThrow();
    while (api.shipyard.cancelled.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(api.shipyard.cancelled).toEqual([lastRequest().executionId]);
  });
});

describe('background commands', () => {
  const background = async () => {
    const answer = await api.exec('shell/exec', { command: 'work', background: true });
    return (answer.json as ShellAnswer).data;
  };

  beforeEach(() => {
    api.shipyard.script = async function* () {
      yield started(12);
      yield output('stdout', 'line 1\n');
      yield output('stderr', 'oops');
      await new Promise(() => undefined);
    };
  });

  it('are answered once they started', async () => {
    const { process_id, ...data } = await background();
    expect(data).toEqual({ success: true, return_code: 0, stdout: '', stderr: '', pid: 12, error: null });
    expect(process_id).toMatch(/^[0-9a-f]{8}$/);
    expect(lastRequest()).toMatchObject({ executionId: process_id, lifetime: Lifetime.NAMED, timeoutMs: 0 });
  });

  it('take another id where theirs is taken', async () => {
    const ids: string[] = [];
    api.shipyard.onCall = (method, request) => {
      if (method !== 'startExecution') return;
      ids.push((request as StartExecutionRequest).executionId);
      if (ids.length === 1) throw new StatusError('EXECUTION_ID_REUSED', 'taken');
    };
    expect(await background()).toMatchObject({ success: true, process_id: ids[1] });
    expect(new Set(ids).size).toBe(2);
  });

  it('say why they could not start', async () => {
    api.shipyard.script = () => [ended({ $case: 'couldNotStart', value: { reason: 'no' } })];
    expect(await background()).toMatchObject({ success: false, return_code: -1, pid: null, error: 'no' });
  });

  it('are listed', async () => {
    const { process_id } = await background();
    expect(await api.exec('shell/processes')).toMatchObject({
      json: { data: { processes: [{ process_id, pid: 12, command: 'work', status: 'running' }] } },
    });
  });

  it('can be asked for, read and ended', async () => {
    const { process_id } = await background();
    const run = api.shipyard.runs[0] as { state: { lastSequence: number } };
    run.state.lastSequence = 3;
    const about = async (what: string) => (await api.exec(`shell/process/${String(process_id)}${what}`)).json;
    expect(await about('')).toMatchObject({ data: { process_id, pid: 12, status: 'running', return_code: null } });
    expect(await about('/output')).toMatchObject({
      data: { process_id, stdout: 'line 1', stderr: 'oops' },
      stdout: 'line 1',
    });

    api.shipyard.script = () => [started(12), output('stdout', ''), output('stdout', ''), signaled('SIGTERM')];
    expect(await about('/kill')).toMatchObject({
      data: { success: true, message: `Process ${String(process_id)} terminated` },
    });
    expect(api.shipyard.cancelled).toEqual([process_id]);
    expect(await about('')).toMatchObject({ data: { status: 'finished (code: -15)', return_code: -15 } });
    expect(await about('/kill')).toMatchObject({
      data: { message: `Process ${String(process_id)} had already finished` },
    });
  });

  it.each(['', '/output', '/kill'])('are not found under another id: %s', async (what) => {
    expect(await api.exec(`shell/process/deadbeef${what}`)).toMatchObject({
      status: 400,
      json: { detail: 'Ship returned 404: {"detail":"Process deadbeef not found"}' },
    });
  });

  it('work in the workspace', async () => {
    const { text } = await api.exec('shell/cwd');
    expect(text).toBe('{"success":true,"data":{"cwd":"/home/user/workspace","exists":true},"error":null}');
  });
});
