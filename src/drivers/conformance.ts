/**
 * What every driver must do, as tests. A driver's own test file calls driverConformance with a way to make a deployment
 * of it; the agent may be the real one or a stand-in, as long as `run` runs a shell command in a session of the ship.
 */
import type { Ship } from '../ships/ship.js';
import type { Driver, Endpoint, Inspection } from './driver.js';

export interface RunAnswer {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** One deployment of a driver, alone in what it sees. Dispose ends its ships and removes their data. */
export interface ConformanceSubject extends AsyncDisposable {
  readonly driver: Driver;
  /** A second driver object of the same deployment, as after a crash of Bay. */
  anotherDriver(): Driver;
  /** A ship's row, CREATING, incarnation 1, with limits of 256 MiB and 1 CPU. */
  ship(id: string, values?: Partial<Ship>): Ship;
  /** Asks the agent who it is. */
  hello(endpoint: Endpoint): Promise<{ shipId: string; incarnation: number }>;
  /** Runs `sh -c command` in the workspace of the ship's one session. */
  run(endpoint: Endpoint, command: string): Promise<RunAnswer>;
  /** Ends the agent process as a crash would. */
  killAgent(driver: Driver, ship: Ship): Promise<void>;
}

/** Of every ship in these tests. */
export const CONFORMANCE_TOKEN = 'conformance-token-of-thirty-two-characters';

export interface ConformanceOptions {
  /** Generous for engines that pull and create. */
  readonly timeoutMs?: number;
}

export function driverConformance(
  name: string,
  makeSubject: () => Promise<ConformanceSubject> | ConformanceSubject,
  { timeoutMs = 30_000 }: ConformanceOptions = {},
): void {
  const token = CONFORMANCE_TOKEN;
  const soon = () => AbortSignal.timeout(timeoutMs);

  /** The row after a start that went well. */
  const start = async (driver: Driver, ship: Ship): Promise<Ship & { handle: NonNullable<Ship['handle']> }> => {
    const { handle, isolation } = await driver.start(ship, { token, signal: soon() });
    // Rows are JSON: what does not survive that is lost at the next start of Bay.
    return {
      ...ship,
      state: 'RUNNING',
      isolation,
      handle: JSON.parse(JSON.stringify(handle)) as Ship['handle'] & object,
    };
  };

  describe(`driver conformance: ${name}`, () => {
    let subject: ConformanceSubject;
    beforeAll(async () => {
      subject = await makeSubject();
      await subject.driver.check(soon());
    }, timeoutMs);
    afterAll(() => subject[Symbol.asyncDispose](), timeoutMs);
    const conforms = (what: string, test: () => Promise<void>) => it(what, test, timeoutMs);

    conforms('says in one line what it found on the machine', async () => {
      const report = await subject.driver.check(soon());
      expect(report.summary).not.toContain('\n');
      expect(['none', 'internet', 'open']).toContain(report.network);
    });

    conforms('answers a start when the agent of that very incarnation can be dialled', async () => {
      const ship = await start(subject.driver, subject.ship('dialable', { incarnation: 7 }));
      expect(await subject.hello(subject.driver.endpoint(ship.handle))).toMatchObject({
        shipId: 'dialable',
        incarnation: 7,
      });
      await subject.driver.stop(ship, { signal: soon() });
    });

    conforms('says truthfully whether an incarnation runs', async () => {
      const { driver } = subject;
      const row = subject.ship('truthful');
      expect(await driver.inspect(row)).toMatchObject({ state: 'gone' });
      const ship = await start(driver, row);
      expect(await driver.inspect(ship)).toEqual({ state: 'running' });
      expect(await driver.inspect({ ...ship, incarnation: 2, handle: undefined })).toMatchObject({ state: 'gone' });
      await driver.stop(ship, { signal: soon() });
      expect(await driver.inspect(ship)).toMatchObject({ state: 'gone' });
    });

    conforms('stops once and for all, however often it is asked', async () => {
      const { driver } = subject;
      await driver.stop(subject.ship('never-started'), { signal: soon() });
      const ship = await start(driver, subject.ship('stopped'));
      await Promise.all([driver.stop(ship, { signal: soon() }), driver.stop(ship, { signal: soon() })]);
      await driver.stop(ship, { signal: soon() });
      await expect(subject.hello(driver.endpoint(ship.handle))).rejects.toThrow();
      expect(await found(driver, 'stopped')).toEqual([]);
    });

    conforms('finds, adopts and ends a ship that another Bay started', async () => {
      const ship = await start(subject.driver, subject.ship('adopted'));
      const later = subject.anotherDriver();
      await later.check(soon());
      expect(await later.inspect(ship)).toEqual({ state: 'running' });
      expect(await subject.hello(later.endpoint(ship.handle))).toMatchObject({ shipId: 'adopted' });
      await later.stop(ship, { signal: soon() });
      expect(await subject.driver.inspect(ship)).toMatchObject({ state: 'gone' });
    });

    conforms('lists, inspects and ends a ship without its row', async () => {
      const row = subject.ship('without-row', { incarnation: 3 });
      await start(subject.driver, row);
      const later = subject.anotherDriver();
      const [listed] = await found(later, 'without-row');
      expect(listed).toMatchObject({ shipId: 'without-row', incarnation: 3 });
      expect(await subject.hello(later.endpoint(listed?.handle ?? {}))).toMatchObject({ incarnation: 3 });
      expect(await later.inspect(row)).toEqual({ state: 'running' });
      await later.stop(row, { signal: soon() });
      expect(await found(later, 'without-row')).toEqual([]);
    });

    conforms('keeps the memory limit that it says is in force', async () => {
      const { driver } = subject;
      const ship = await start(driver, subject.ship('limited'));
      const said = [...(ship.isolation?.limits ?? []), ...(ship.isolation?.missing ?? [])].join('\n');
      for (const limit of ['memory', 'cpu', 'pids']) expect(said).toContain(limit);
      if (ship.isolation?.limits.includes('memory')) {
        const hog = await subject.run(driver.endpoint(ship.handle), 'head -c 1G /dev/zero | tail | wc -c; exit 0');
        expect(hog.stdout.trim()).not.toBe('1073741824');
        expect(await driver.inspect(ship)).toEqual({ state: 'running' });
      }
      await driver.stop(ship, { signal: soon() });
    });

    conforms('keeps data over stop and start, and removes them when asked', async () => {
      const { driver } = subject;
      const first = await start(driver, subject.ship('data'));
      await subject.run(
        driver.endpoint(first.handle),
        'echo kept > file; mkdir -p closed/inner; echo x > closed/inner/x; chmod 000 closed',
      );
      await driver.stop(first, { signal: soon() });
      expect(await driver.hasData('data')).toBe(true);

      const second = await start(driver, subject.ship('data', { incarnation: 2 }));
      expect(await subject.run(driver.endpoint(second.handle), 'cat file')).toMatchObject({
        code: 0,
        stdout: 'kept\n',
      });
      await driver.stop(second, { signal: soon() });
      await driver.removeData('data');
      await driver.removeData('data');
      expect(await driver.hasData('data')).toBe(false);

      const third = await start(driver, subject.ship('data', { incarnation: 3 }));
      expect((await subject.run(driver.endpoint(third.handle), 'cat file')).code).not.toBe(0);
      await driver.stop(third, { signal: soon() });
      await driver.removeData('data');
    });

    conforms('notices an agent that was killed', async () => {
      const { driver } = subject;
      const ship = await start(driver, subject.ship('killed'));
      const watching = new AbortController();
      const died: Promise<Inspection> | undefined = driver.died?.(ship, watching.signal);
      await subject.killAgent(driver, ship);
      const end = died ? await died : await untilGone(driver, ship, soon());
      expect(end).toMatchObject({ state: 'gone', reason: expect.any(String) as string });
      expect(end).not.toHaveProperty('oom');
      expect(await driver.inspect(ship)).toMatchObject({ state: 'gone' });
      expect(await found(driver, 'killed')).toEqual([]);
      watching.abort();
      await driver.stop(ship, { signal: soon() });
    });

    conforms('keeps two ships apart: files, processes, loopback', async () => {
      const { driver } = subject;
      const [one, two] = await Promise.all(['one', 'two'].map((id) => start(driver, subject.ship(id))));
      if (!one || !two) throw new Error('not started');
      const at = (ship: typeof one) => driver.endpoint(ship.handle);
      const hidden = subject.run(at(one), 'echo secret > mine; exec sleep 4.4242').catch(() => undefined);
      await subject.run(at(one), 'until [ -s mine ]; do sleep 0.01; done');
      expect((await subject.run(at(two), 'cat mine')).code).not.toBe(0);
      const look =
        'for f in /proc/[0-9]*/cmdline; do tr "\\0" " " < $f; echo; done 2> /dev/null | grep -c "^sleep 4[.]4242"';
      expect((await subject.run(at(two), look)).stdout.trim()).toBe('0');
      if (one.isolation?.network !== 'open') {
        const [mine, theirs] = await Promise.all(
          [one, two].map((ship) => subject.run(at(ship), 'readlink /proc/self/ns/net')),
        );
        expect(mine?.stdout).not.toBe(theirs?.stdout);
      }
      await Promise.all([one, two].map((ship) => driver.stop(ship, { signal: soon() })));
      await hidden; // its agent went away under it
    });

    conforms('shows what the agent wrote, also while it is written', async () => {
      const { driver } = subject;
      const ship = await start(driver, subject.ship('logs'));
      const watching = new AbortController();
      let followed = '';
      for await (const text of driver.logs(ship, { follow: true, signal: watching.signal })) {
        followed += text;
        if (followed.includes('\n')) watching.abort();
      }
      expect(followed).not.toBe('');
      let whole = '';
      for await (const text of driver.logs(ship, { follow: false, signal: soon() })) whole += text;
      expect(whole.startsWith(followed)).toBe(true);
      expect(whole).not.toContain(token);
      await driver.stop(ship, { signal: soon() });
    });

    conforms('leaves nothing of a start that was given up', async () => {
      const { driver } = subject;
      const reason = new Error('no longer wanted');
      const row = subject.ship('given-up');
      await expect(driver.start(row, { token, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      const giveUp = new AbortController();
      setTimeout(() => giveUp.abort(reason), 10);
      await expect(driver.start(row, { token, signal: giveUp.signal })).rejects.toBe(reason);
      expect(await found(driver, 'given-up')).toEqual([]);
      expect(await driver.inspect(row)).toMatchObject({ state: 'gone' });
    });
  });
}

async function found(driver: Driver, shipId: string) {
  return (await driver.list()).filter((ship) => ship.shipId === shipId);
}

async function untilGone(driver: Driver, ship: Ship, signal: AbortSignal): Promise<Inspection> {
  for (;;) {
    signal.throwIfAborted();
    const seen = await driver.inspect(ship);
    if (seen.state === 'gone') return seen;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
