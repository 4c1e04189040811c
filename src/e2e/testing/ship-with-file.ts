import type { SessionCalls, ShipSeen, V1Calls } from './v1-calls.js';

/** A ship of a session, with a file that must not be lost. */
export interface ShipWithFile extends ShipSeen {
  readonly session: string;
  readonly work: SessionCalls;
  /** The session gets the same ship, and the file in it is byte-equal. */
  readonly hasFileAgain: () => Promise<void>;
}

/** Makes a ship with 3 MB of noise in a file, whose sum it knows. */
export async function makeShipWithFile(calls: V1Calls, session: string): Promise<ShipWithFile> {
  const ship = await calls.createShip(session);
  const work = calls.in(ship.shipId, session);
  const sum = await work.command('head -c 3000000 /dev/urandom > noise && sync && sha256sum noise');
  expect(sum).toMatch(/^[0-9a-f]{64} /);
  const hasFileAgain = async () => {
    expect((await calls.createShip(session)).shipId).toBe(ship.shipId);
    expect(await work.command('sha256sum noise')).toBe(sum);
  };
  return { ...ship, session, work, hasFileAgain };
}
