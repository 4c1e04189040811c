import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { HEADERS, startApi, type TestApi } from '../testing/start-api.js';
import { blobPart, display, exited, output, raised, SHIP_ID, started } from '../testing/fake-shipyard.js';

let api: TestApi;
beforeEach(async () => (api = await startApi()));
afterEach(() => api.close());

const CHUNK = `${'0123456789abcdé\n'.repeat(4000)}`;

async function exec(type: string, payload: object): Promise<Record<string, unknown>> {
  const answer = await api.exec(type, payload);
  expect(answer.status).toBe(200);
  return answer.json as Record<string, unknown>;
}

describe('output that does not fit into memory', () => {
  it('is the same as if it did', async () => {
    const stdout = [' \n\u3000', ' \t', CHUNK, '  \n ', CHUNK, CHUNK, CHUNK, CHUNK, CHUNK, '\n'.repeat(100), ' \n '];
    const stderr = ['', ' error "1"\\\n', ' '.repeat(50)];
    api.shipyard.script = () => [
      started(3),
      ...stdout.map((text) => output('stdout', text)),
      ...stderr.map((text) => output('stderr', text)),
      exited(1),
    ];
    expect(await exec('shell/exec', { command: 'x' })).toMatchObject({
      success: true,
      data: { success: false, return_code: 1, stdout: stdout.join('').trim(), stderr: 'error "1"\\', pid: 3 },
      error: 'error "1"\\',
      stdout: stdout.join('').trim(),
      exit_code: 1,
    });
  });

  it('keeps bytes that are not UTF-8', async () => {
    const bytes = Buffer.concat([Buffer.alloc(100_000, 0xe9), Buffer.from('end')]);
    api.shipyard.script = () => [
      ...Array.from({ length: 5 }, () => output('stdout', bytes)),
      output('stdout', ' \n'),
      exited(0),
    ];
    const { data } = (await exec('shell/exec', { command: 'x' })) as {
      data: { stdout: string; stdout_base64: string };
    };
    const whole = Buffer.concat([...(Array(5).fill(bytes) as Buffer[]), Buffer.from(' \n')]);
    expect(data.stdout).toBe(whole.toString().trimEnd());
    expect(Buffer.from(data.stdout_base64, 'base64').equals(whole)).toBe(true);
  });

  it('keeps text and images of a cell', async () => {
    const images = [randomBytes(200_000), randomBytes(7), randomBytes(100_001)] as const;
    api.shipyard.script = () => [
      output('stdout', '  a'),
      display('display', { 'text/plain': 'dropped', 'image/png': { parts: 2 } }),
      blobPart('image/png', 0, images[0].subarray(0, 100_000)),
      blobPart('image/png', 1, images[0].subarray(100_000)),
      display('result', { 'text/plain': { parts: 1 }, 'image/png': images[1] }),
      blobPart('text/plain', 0, Buffer.from(CHUNK)),
      display('display', { 'image/png': images[2] }),
      output('stderr', ' z \n'),
      ...raised(['x'.repeat(100_000), ' last ']),
    ];
    const { data } = await exec('ipython/exec', { code: 'x' });
    expect(data).toEqual({
      success: false,
      execution_count: 1,
      output: {
        text: `a${CHUNK} z`,
        images: images.map((image) => ({ 'image/png': image.toString('base64') })),
      },
      error: `${'x'.repeat(100_000)}\n last `,
      kernel_id: 'session-1',
      state_preserved: true,
    });
  });

  it('breaks the answer off where the log cannot be read again', async () => {
    api.shipyard.script = () => [...Array.from({ length: 10 }, () => output('stdout', CHUNK)), exited(0)];
    let reads = 0;
    api.shipyard.onCall = (method) => {
      if (method === 'attachExecution' && ++reads === 2) throw new Error('gone');
    };
    await expect(api.exec('shell/exec', { command: 'x' })).rejects.toThrow();
  });

  it('does not grow the memory of Bay', async () => {
    const bytes = 48 * 1024 * 1024;
    const chunks = Math.ceil(bytes / 65_536);
    const text = 'x'.repeat(65_535) + '\n';
    const blank = '\n'.repeat(65_536);
    api.shipyard.script = function* () {
      yield started(1);
      for (let count = 0; count < chunks; count++) yield output('stdout', count % 2 ? text : blank);
      yield output('stdout', 'end');
      yield exited(0);
    };
    const before = liveBytes();
    const growths: number[] = []; // below zero where what lived before has gone meanwhile
    const length = await drain(api.port, (count) => {
      if (count % 200 === 0) growths.push(liveBytes() - before);
    });
    expect(length).toBeGreaterThan(2 * (bytes - 65_536));
    expect(growths.length).toBeGreaterThan(2);
    expect(Math.max(...growths)).toBeLessThan(bytes / 8); // what is on its way, let alone one copy of it
  });
});

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What is held, without what only waits to be collected: the second pass ends the sweeping of buffers that the first began. */
function liveBytes(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** @returns the length of the answer, which is thrown away as it comes */
function drain(port: number, onChunk: (count: number) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    const path = `/ship/${SHIP_ID}/exec`;
    const request = httpRequest({ host: '127.0.0.1', port, method: 'POST', path, headers: HEADERS, agent: false });
    request.on('error', reject);
    request.on('response', (response) => {
      let length = 0;
      let count = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        onChunk(++count);
      });
      response.on('error', reject);
      response.on('end', () => resolve(length));
    });
    request.end('{"type":"shell/exec","payload":{"command":"yes"}}');
  });
}
