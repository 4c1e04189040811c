import { afterEach, describe, expect, it } from '@jest/globals';
import { Lifetime } from '../../proto/gen/shipyard/execution/v1/execution.js';
import { collect, startTestBay, toStart, until, type TestBay } from '../testing/start-test-bay.js';

let bay: TestBay;
afterEach(async () => bay.end());

const numbers = (events: readonly { sequence: number }[]) => events.map(({ sequence }) => sequence);

describe('forwarding', () => {
  it('refuses an unknown ship, a stopped one and a foreign session, each with its reason', async () => {
    bay = await startTestBay();
    const ship = await bay.createShip('s');
    await expect(bay.run({ ...ship, shipId: 'none' }, 's')).rejects.toMatchObject({
      reason: 'SHIP_NOT_FOUND',
      message: 'Ship not found',
    });
    await expect(bay.run(ship, 'foreign')).rejects.toMatchObject({
      reason: 'SESSION_NOT_BOUND',
      message: 'Session does not have access to this ship',
    });
    await bay.bay.stopShip({ shipId: ship.shipId });
    await expect(bay.run(ship, 's')).rejects.toMatchObject({ reason: 'SHIP_NOT_RUNNING' });
  });

  it('passes the events of a start on, and names work that has no name', async () => {
    bay = await startTestBay();
    const ship = await bay.createShip('s');
    expect(numbers(await bay.run(ship, 's', 'print 3'))).toEqual([1, 2, 3, 4, 5]);
    const [request] = bay.driver.agent(ship.shipId).begun;
    expect(request).toMatchObject({ lifetime: Lifetime.CALL });
    expect(request?.executionId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it('leaves a name of the caller, and what it says of its life, alone', async () => {
    bay = await startTestBay();
    const ship = await bay.createShip('s');
    await bay.run(ship, 's', 'print 1', 'mine');
    expect(bay.driver.agent(ship.shipId).cancelled('mine')).toBe(false); // it was read to its own end
    expect(bay.driver.agent(ship.shipId).begun[0]).toMatchObject({
      executionId: 'mine',
      lifetime: Lifetime.UNSPECIFIED,
    });
  });

  it('lets a session in once for each incarnation, however many calls come at once', async () => {
    bay = await startTestBay();
    const ship = await bay.createShip('s', { maxSessionNum: 2 });
    await bay.createShip('t');
    const agent = bay.driver.agent(ship.shipId);
    await Promise.all(Array.from({ length: 20 }, (_, n) => bay.run(ship, n % 2 ? 's' : 't')));
    expect(agent.calls.bindSession).toBe(2);
  });

  it('goes on behind the last number when the link breaks: every event once, in order', async () => {
    bay = await startTestBay();
    const ship = await bay.createShip('s');
    const agent = bay.driver.agent(ship.shipId);
    const reading = collect(bay.executions.startExecution(toStart(ship.shipId, 's', 'print 200 held', 'long')));
    await until('it began', () => agent.begun.length === 1);
    for (let cut = 0; cut < 20; cut += 1) {
      agent.release('long', 10);
      agent.dropLinks();
      await until('Bay is back', () => agent.connections > 0);
    }
    agent.release('long');
    expect(numbers(await reading)).toEqual(Array.from({ length: 202 }, (_, n) => n + 1));
    expect(agent.begun).toHaveLength(1);
  });

  it('sends a start again, under the same name, that brought no event before the link broke', async () => {
    bay = await startTestBay();
    const ship = await bay.createShip('s');
    const agent = bay.driver.agent(ship.shipId);
    const reading = collect(bay.executions.startExecution(toStart(ship.shipId, 's', 'print 1 held')));
    await until('it began', () => agent.begun.length === 1);
    agent.dropLinks();
    await until('sent again', () => agent.calls.startExecution === 2);
    agent.release(agent.begun[0]?.executionId ?? '');
    expect(numbers(await reading)).toEqual([1, 2, 3]);
    expect(agent.begun).toHaveLength(1);
  });

  it('attaches from the number asked for, over a broken link too', async () => {
    bay = await startTestBay();
    const ship = await bay.createShip('s');
    const agent = bay.driver.agent(ship.shipId);
    await bay.run(ship, 's', 'print 10', 'done');
    agent.dropLinks();
    const attach = { shipId: ship.shipId, sessionId: 's', executionId: 'done', fromSequence: 8, strict: false };
    expect(numbers(await collect(bay.executions.attachExecution(attach)))).toEqual([8, 9, 10, 11, 12]);
    expect(await collect(bay.executions.attachExecution({ ...attach, fromSequence: 13 }))).toEqual([]);
  });

  it('tells the ship when the caller leaves, and not when only the link breaks', async () => {
    bay = await startTestBay();
    const ship = await bay.createShip('s');
    const agent = bay.driver.agent(ship.shipId);
    const leaving = new AbortController();
    const events = bay.executions.startExecution(toStart(ship.shipId, 's', 'print 5 held', 'x'), {
      signal: leaving.signal,
    });
    const reading = collect(events);
    await until('it began', () => agent.begun.length === 1);
    agent.dropLinks();
    await until('sent again', () => agent.calls.startExecution === 2);
    expect(agent.cancelled('x')).toBe(false);
    leaving.abort();
    await expect(reading).rejects.toMatchObject({ reason: 'CANCELLED' });
    await until('the ship knows', () => agent.cancelled('x'));
  });

  it('answers a call within moments after the link broke, without its caller noticing', async () => {
    bay = await startTestBay();
    const ship = await bay.createShip('s');
    const write = (content: string) =>
      bay.files.writeText({
        shipId: ship.shipId,
        sessionId: 's',
        path: 'a',
        content,
        encoding: '',
        append: false,
        mode: undefined,
      });
    bay.driver.agent(ship.shipId).dropLinks();
    expect(await write('hello')).toMatchObject({ path: 'a' });
  });

  it('ends a stream truthfully when the ship dies', async () => {
    bay = await startTestBay();
    const ship = await bay.createShip('s');
    const reading = collect(bay.executions.startExecution(toStart(ship.shipId, 's', 'print 5 held', 'x')));
    reading.catch(() => undefined);
    await until('it began', () => bay.driver.agent(ship.shipId).begun.length === 1);
    await bay.driver.kill(ship.shipId);
    await expect(reading).rejects.toMatchObject({ reason: 'SHIP_NOT_RUNNING' });
  });

  it('tells every reader of a ship that dies how to get the rest', async () => {
    bay = await startTestBay();
    const { shipId } = await bay.createShip('s');
    const attach = { shipId, sessionId: 's', executionId: 'x', fromSequence: 4, strict: false };
    const fromStart = bay.executions.startExecution(toStart(shipId, 's', 'print 5 held', 'x'))[Symbol.asyncIterator]();
    const first = fromStart.next();
    await until('it began', () => bay.driver.agent(shipId).begun.length === 1);
    bay.driver.agent(shipId).release('x', 3);
    await first;
    await fromStart.next();
    await fromStart.next();
    const quiet = collect(bay.executions.attachExecution(attach));
    quiet.catch(() => undefined);
    await until('it reads', () => bay.driver.agent(shipId).calls.attachExecution === 1);
    const end = fromStart.next();
    end.catch(() => undefined);
    await bay.driver.kill(shipId);
    const told = {
      reason: 'SHIP_NOT_RUNNING',
      message: expect.stringMatching(/create a ship .*; attach to execution x from sequence 4 for the rest/),
      details: { next_sequence: 4 },
    };
    await expect(end).rejects.toMatchObject(told);
    await expect(quiet).rejects.toMatchObject(told);
  });

  it('carries files both ways', async () => {
    bay = await startTestBay();
    const ship = await bay.createShip('s');
    const content = Buffer.alloc(1_000_000, 'x');
    const names = { shipId: ship.shipId, sessionId: 's', path: 'big' };
    async function* upload() {
      yield { part: { $case: 'header' as const, value: { ...names, mode: undefined, sizeBytes: undefined } } };
      for (let at = 0; at < content.length; at += 200_000) {
        yield { part: { $case: 'data' as const, value: content.subarray(at, at + 200_000) } };
      }
    }
    expect(await bay.files.upload(upload())).toMatchObject({ sizeBytes: 1_000_000 });
    let bytes = 0;
    for await (const part of bay.files.download({ ...names, offset: 0, length: 0 })) bytes += part.length;
    expect(bytes).toBeGreaterThan(1_000_000);
    await expect(collect(bay.files.download({ ...names, path: 'none', offset: 0, length: 0 }))).rejects.toMatchObject({
      reason: 'FILE_NOT_FOUND',
    });
  });

  it('refuses an upload whose first message is no header', async () => {
    bay = await startTestBay();
    async function* upload() {
      yield { part: { $case: 'data' as const, value: Buffer.from('x') } };
    }
    await expect(bay.files.upload(upload())).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
  });
});
