import { Cause, Lifetime, type StartExecutionRequest } from '../../../../proto/gen/shipyard/execution/v1/execution.js';
import type { EventBody } from '../fold/events.js';
import { startApi, type TestApi } from '../testing/start-api.js';
import {
  blobPart,
  completed,
  display,
  ended,
  output,
  raised,
  SESSION,
  started,
  WORKSPACE,
} from '../testing/fake-shipyard.js';

let api: TestApi;
beforeEach(async () => (api = await startApi()));
afterEach(() => api.close());

interface CellData {
  success: boolean;
  execution_count: number | null;
  output: { text: string; images: object[]; [key: string]: unknown };
  error: string | null;
  kernel_id: string;
  state_preserved?: boolean;
}

async function run(events: EventBody[], payload: object = {}): Promise<CellData> {
  api.shipyard.script = () => events;
  const answer = await api.exec('ipython/exec', { code: 'x', ...payload });
  expect(answer).toMatchObject({ status: 200, json: { success: true, error: null } });
  return (answer.json as { data: CellData }).data;
}

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d]);
const IMAGE = { 'image/png': PNG.toString('base64') };

describe('ipython/exec', () => {
  it('answers every documented key', async () => {
    api.shipyard.script = () => [
      started(),
      output('stdout', '1\n'),
      display('result', { 'text/plain': '2' }),
      completed(4),
    ];
    expect((await api.exec('ipython/exec', { code: 'print(1)\n2' })).text).toBe(
      `{"success":true,"data":{"success":true,"execution_count":4,"output":{"text":"1\\n2","images":[]},"error":null,"kernel_id":"${SESSION}"},"error":null}`,
    );
  });

  it('joins streams, displays and results in the order of their arrival, and strips the whole', async () => {
    const data = await run([
      output('stdout', ' \n a '),
      output('stderr', 'E'),
      display('display', { 'text/plain': '<D>', 'text/html': '<b>' }),
      output('stdout', 'b'),
      display('result', { 'text/plain': 'R\n' }),
      output('stdout', ' \x1c\x85\n'),
      completed(),
    ]);
    expect(data.output).toEqual({ text: 'a E<D>bR', images: [] });
  });

  it('takes PNG only, drops the text of a display that is one and keeps that of a result', async () => {
    const data = await run([
      display('display', { 'text/plain': '<Figure>', 'image/png': PNG }),
      display('display', { 'text/plain': 'jpeg', 'image/jpeg': PNG, 'image/svg+xml': '<svg/>' }),
      display('updateDisplay', { 'text/plain': 'update', 'image/png': PNG }),
      display('result', { 'image/png': PNG, 'text/plain': 'result' }),
      completed(),
    ]);
    expect(data.output).toEqual({ text: 'jpegresult', images: [IMAGE, IMAGE] });
  });

  it('puts large displays together again', async () => {
    const data = await run([
      display('display', { 'text/plain': { parts: 1 }, 'image/png': { parts: 2 } }),
      blobPart('text/plain', 0, Buffer.from('dropped')),
      blobPart('image/png', 0, PNG.subarray(0, 2)),
      blobPart('image/png', 1, PNG.subarray(2)),
      display('result', { 'text/plain': { parts: 2 } }),
      blobPart('text/plain', 0, Buffer.from('é').subarray(0, 1)),
      blobPart('text/plain', 1, Buffer.from('é').subarray(1)),
      display('updateDisplay', { 'text/plain': { parts: 1 } }),
      blobPart('text/plain', 0, Buffer.from('update')),
      completed(),
    ]);
    expect(data.output).toEqual({ text: 'é', images: [IMAGE] });
  });

  it('tells an exception as its coloured traceback, and keeps what was printed', async () => {
    const data = await run([output('stdout', 'before\n'), ...raised(['\x1b[31mTraceback\x1b[0m', 'ValueError: x'])]);
    expect(data).toEqual({
      success: false,
      execution_count: 1,
      output: { text: 'before', images: [] },
      error: '\x1b[31mTraceback\x1b[0m\nValueError: x',
      kernel_id: SESSION,
      state_preserved: true,
    });
  });

  it('puts a large traceback together again', async () => {
    const [error, end] = raised(['the beginning']) as [EventBody & { $case: 'error' }, EventBody];
    error.value.largeFields.push(
      { mimeType: 'value', content: undefined },
      { mimeType: 'traceback', content: undefined },
    );
    const parts = [
      blobPart('value', 0, Buffer.from('v')),
      blobPart('traceback', 0, Buffer.from('a\n')),
      blobPart('traceback', 1, Buffer.from('b ')),
    ];
    expect(await run([error, ...parts, end])).toMatchObject({ success: false, error: 'a\nb ' });
  });

  it('names the exception where it has no traceback', async () => {
    expect(await run(raised([]))).toMatchObject({ success: false, error: 'ValueError: x' });
  });

  it('returns what was printed until the deadline, whatever the interrupt raised', async () => {
    const [error] = raised(['KeyboardInterrupt']) as [EventBody];
    const end = ended({ $case: 'raised', value: {} }, { cause: Cause.DEADLINE, executionCount: 2 });
    const data = await run([output('stdout', 'partial\n'), error, end], { timeout: 2 });
    const expected = { success: false, error: 'Code execution timed out after 2 seconds', output: { text: 'partial' } };
    expect(data).toMatchObject(expected);
  });

  it('tells the death of the kernel', async () => {
    const outcome = { $case: 'kernelDied', value: { signal: 'SIGKILL', exitCode: undefined } } as const;
    const data = await run([output('stdout', 'x'), ended(outcome, { statePreserved: false })]);
    expect(data).toMatchObject({
      success: false,
      execution_count: null,
      output: { text: 'x' },
      error: 'Code execution was ended: the kernel died (SIGKILL)',
      state_preserved: false,
    });
  });

  it('has no count when silent', async () => {
    expect(await run([completed(0)], { silent: true })).toMatchObject({ success: true, execution_count: null });
  });

  it('keeps bytes that are not UTF-8', async () => {
    const data = await run([output('stdout', Buffer.from([0xff])), output('stderr', 'e'), completed()]);
    expect(data.output).toEqual({ text: '\ufffde', images: [], stdout_base64: '/w==' });
  });

  it('sends code, defaults and bounds', async () => {
    await run([completed()]);
    const request = api.shipyard.runs[0]?.request as StartExecutionRequest;
    expect(request).toMatchObject({
      sessionId: SESSION,
      lifetime: Lifetime.CALL,
      timeoutMs: 30_000,
      queueTimeoutMs: 0,
      work: { $case: 'cell', value: { code: 'x', silent: false, allowStdin: false, kernelGeneration: 0 } },
    });
    expect(request.executionId).toMatch(/^[A-Za-z0-9._-]{1,128}$/);
  });
});

describe('kernels', () => {
  const text = async (type: string) => (await api.exec(type)).text;
  const NONE = `{"detail":"Ship returned 404: {\\"detail\\":\\"Kernel for session ${SESSION} not found\\"}"}`;

  it('are made, asked for, listed and shut down', async () => {
    expect(await text('ipython/kernel/status')).toBe(NONE);
    expect(await text('ipython/create_kernel')).toBe(
      `{"success":true,"data":{"success":true,"kernel_id":"${SESSION}","workspace":"${WORKSPACE}",` +
        `"message":"Kernel for session ${SESSION} created successfully"},"error":null}`,
    );
    expect(await text('ipython/kernel/status')).toBe(
      `{"success":true,"data":{"session_id":"${SESSION}","kernel_id":"${SESSION}","status":"alive",` +
        `"workspace":"${WORKSPACE}","has_kernel":true},"error":null}`,
    );
    expect(await text('ipython/kernels')).toBe(
      `{"success":true,"data":{"kernels":[{"kernel_id":"${SESSION}","status":"alive","connections":1}]},"error":null}`,
    );
    expect(await text('ipython/kernel/shutdown')).toBe(
      `{"success":true,"data":{"success":true,"message":"Kernel for session ${SESSION} shutdown successfully"},"error":null}`,
    );
    expect(await text('ipython/kernel')).toBe(NONE);
  });
});
