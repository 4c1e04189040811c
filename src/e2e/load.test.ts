/** Many calls, much output, many at once: every answer right, none refused, none empty. */
import { startOwnBay, type OwnBay } from '../../scripts/lib/bay.mjs';
import { residentMiB } from './testing/processes.js';
import { documentedHttp } from './ways/documented-http.js';
import { eventsOf } from './ways/v1-http.js';
import { foldLog } from './ways/fold.js';
import type { SessionWay } from './ways/way.js';

let bay: OwnBay;
let shipId: string;
const sessions = Array.from({ length: 10 }, (_, i) => `load-${i}`);

beforeAll(async () => {
  bay = await startOwnBay();
  const way = documentedHttp(bay);
  shipId = await way.createShip('load-0', { maxSessionNum: 10 });
  for (const session of sessions.slice(1)) expect(await way.createShip(session)).toBe(shipId);
}, 120_000);
afterAll(() => bay.stop(), 30_000);

const session = (index: number): SessionWay => documentedHttp(bay).in(shipId, `load-${index}`);

const start = (index: number, request: object): Promise<Response> =>
  fetch(`${bay.url}/v1/ships/${shipId}/executions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${bay.token}`,
      'x-session-id': `load-${index}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify(request),
  });

describe('cells under load', () => {
  it('answers 600 cells in a tight loop, each with its own value', async () => {
    const way = session(0);
    const wrong: unknown[] = [];
    for (let i = 0; i < 600; i++) {
      const { text, success } = await way.runCell(`${i} * 2`);
      if (!success || text !== `${i * 2}`) wrong.push([i, text]);
    }
    expect(wrong).toEqual([]);
  }, 120_000);

  it('answers 50 cells in each of 8 sessions at once', async () => {
    const wrong: unknown[] = [];
    const loop = async (index: number) => {
      const way = session(index);
      await way.runCell(`mine = ${index}`);
      for (let i = 0; i < 50; i++) {
        const { text } = await way.runCell(`print(mine, ${i})`);
        if (text !== `${index} ${i}`) wrong.push([index, i, text]);
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, index) => loop(index)));
    expect(wrong).toEqual([]);
  }, 180_000);

  it('keeps the output of 50 parallel cells in 10 sessions apart', async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const { text } = await session(i % 10).runCell(`for k in range(20): print(${i}, k)`);
        return text === Array.from({ length: 20 }, (_, k) => `${i} ${k}`).join('\n');
      }),
    );
    expect(answers.filter((right) => !right)).toEqual([]);
  }, 180_000);

  it('loses none of 500 short prints in a row', async () => {
    const { text } = await session(1).runCell('for i in range(500): print(i, flush=True)');
    expect(text).toBe(Array.from({ length: 500 }, (_, i) => i).join('\n'));
  }, 60_000);
});

describe('much output', () => {
  it.each([10, 200])(
    'carries %i MB of a cell whole, without growing Bay',
    async (megabytes) => {
      const before = residentMiB(bay.pid);
      const code = `line = 'x' * 999\nfor i in range(${megabytes * 1000}): print(line)`;
      let bytes = 0;
      let peak = 0;
      for await (const event of eventsOf(await start(0, { cell: { code } }))) {
        if (event.event?.$case === 'stdout') bytes += event.event.value.content?.value.length ?? 0;
        if (event.sequence % 200 === 0) peak = Math.max(peak, residentMiB(bay.pid));
      }
      expect(bytes).toBe(megabytes * 1_000_000);
      // Chunks of 64 KiB on their way, garbage of V8 included, and nothing that grows with the output.
      expect(peak - before).toBeLessThan(150);
    },
    180_000,
  );

  it('does not let 200 MB of one session block another, and folds them whole in the documented answer', async () => {
    const before = residentMiB(bay.pid);
    const big = fetch(`${bay.url}/ship/${shipId}/exec`, {
      method: 'POST',
      headers: { authorization: `Bearer ${bay.token}`, 'x-session-id': 'load-2', 'content-type': 'application/json' },
      body: JSON.stringify({
        type: 'shell/exec',
        payload: { command: "head -c 200000000 /dev/zero | tr '\\0' y", timeout: 120 },
      }),
    });
    let over = false;
    const counted = big.then(async (response) => {
      let bytes = 0;
      for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) bytes += piece.length;
      over = true;
      return bytes;
    });
    let cells = 0;
    let peak = 0;
    while (!over && cells < 2000) {
      expect((await session(3).runCell(`print(${cells})`)).text).toBe(`${cells}`);
      cells += 1;
      peak = Math.max(peak, residentMiB(bay.pid));
    }
    // The text stands in `data.stdout` and, for AstrBot, once more at the top.
    expect(await counted).toBeGreaterThan(400_000_000);
    expect(cells).toBeGreaterThan(3);
    expect(peak - before).toBeLessThan(150);
  }, 240_000);

  it('carries bytes that are not UTF-8 exactly', async () => {
    const log = await foldLog(
      eventsOf(
        await start(4, {
          cell: { code: 'import sys\nfor _ in range(100): sys.stdout.buffer.write(bytes(range(256)))' },
        }),
      ),
    );
    expect(
      log.stdout.equals(
        Buffer.concat(Array.from({ length: 100 }, () => Buffer.from(Array.from({ length: 256 }, (_, i) => i)))),
      ),
    ).toBe(true);
    const shell = await foldLog(eventsOf(await start(4, { command: { command: "printf '\\377\\000\\376'" } })));
    expect([...shell.stdout]).toEqual([255, 0, 254]);
  }, 60_000);
});

describe('fast programs', () => {
  it.each(['command', 'terminal'] as const)(
    'loses no byte in 200 runs of a 64 KB program by %s',
    async (kind) => {
      const short: number[] = [];
      for (let i = 0; i < 200; i++) {
        const log = await foldLog(
          eventsOf(await start(5, { [kind]: { command: "head -c 65536 /dev/zero | tr '\\0' x" } })),
        );
        const bytes = kind === 'command' ? log.stdout : log.pty;
        if (bytes.length !== 65536) short.push(bytes.length);
      }
      expect(short).toEqual([]);
    },
    240_000,
  );
});
