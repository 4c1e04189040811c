import type { OwnBay } from '../../../scripts/lib/bay.mjs';
import { foldLog } from '../ways/fold.js';
import { eventsOf } from '../ways/v1-http.js';
import type { Attach } from './read-with-cuts.js';

export interface ShipSeen {
  readonly shipId: string;
  readonly state: string;
  readonly stateReason?: string;
  readonly containerId: string;
  readonly ipAddress?: string;
}

const STATES = ['CREATING', 'RUNNING', 'STOPPING', 'STOPPED', 'FAILED'];

interface Failed {
  readonly error: { readonly reason: string; readonly message: string };
}

/** Bay's HTTP routes for tests that look at what a fault leaves: answers as they are, failures by their reason. */
export class V1Calls {
  readonly #bay: OwnBay;

  constructor(bay: OwnBay) {
    this.#bay = bay;
  }

  async fetch(method: string, path: string, session = '', body?: object, signal?: AbortSignal): Promise<Response> {
    return fetch(`${this.#bay.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#bay.token}`,
        'x-session-id': session,
        ...(body ? { 'content-type': 'application/json' } : {}),
      },
      body: body ? JSON.stringify(body) : null,
      signal: signal ?? null,
    });
  }

  post(path: string, session: string, body: object): Promise<Response> {
    return this.fetch('POST', path, session, body);
  }

  /** @throws Error with Bay's own answer where it is none of success */
  async json<T>(method: string, path: string, session = '', body?: object): Promise<T> {
    const response = await this.fetch(method, path, session, body);
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  createShip(session: string): Promise<ShipSeen> {
    return this.json('POST', '/v1/ships', session, { ttlSeconds: 900 });
  }

  async tryCreateShip(session: string, spec?: object): Promise<{ shipId?: string; reason?: string }> {
    const response = await this.post('/v1/ships', session, { ttlSeconds: 900, ...(spec ? { spec } : {}) });
    const answer = (await response.json()) as ShipSeen | Failed;
    return 'error' in answer ? { reason: answer.error.reason } : { shipId: answer.shipId };
  }

  ship(shipId: string): Promise<ShipSeen> {
    return this.json('GET', `/v1/ships/${shipId}`);
  }

  /** All, also those that do not run. */
  async ships(): Promise<readonly ShipSeen[]> {
    const query = STATES.map((state) => `states=SHIP_STATE_${state}`).join('&');
    return (await this.json<{ ships?: ShipSeen[] }>('GET', `/v1/ships?${query}`)).ships ?? [];
  }

  async deleteShip(shipId: string): Promise<void> {
    await this.json('DELETE', `/v1/ships/${shipId}`);
  }

  /** A deletion that the driver could not finish is Bay's to finish. */
  async tryDeleteShip(shipId: string): Promise<'deleted' | 'later'> {
    const response = await this.fetch('DELETE', `/v1/ships/${shipId}`);
    if (response.ok) return 'deleted';
    const { error } = (await response.json()) as Failed;
    if (error.reason !== 'DRIVER_UNAVAILABLE') throw new Error(`a deletion failed: ${error.reason} ${error.message}`);
    return 'later';
  }

  in(shipId: string, session: string): SessionCalls {
    return new SessionCalls(this, `/v1/ships/${shipId}`, session);
  }
}

/** A session in its ship. */
export class SessionCalls {
  readonly #calls: V1Calls;
  readonly #ship: string;
  readonly #session: string;

  constructor(calls: V1Calls, ship: string, session: string) {
    this.#calls = calls;
    this.#ship = ship;
    this.#session = session;
  }

  /** What a shell command writes to its standard output. */
  async command(command: string): Promise<string> {
    const response = await this.#calls.post(`${this.#ship}/executions`, this.#session, { command: { command } });
    if (!response.ok) throw new Error(`${command}: ${response.status} ${await response.text()}`);
    return (await foldLog(eventsOf(response))).stdout.toString();
  }

  /** Starts a cell under a name, waits for the first that it prints, and leaves it running. */
  async begin(executionId: string, code: string): Promise<void> {
    const response = await this.#calls.post(`${this.#ship}/executions`, this.#session, { executionId, cell: { code } });
    for await (const { event } of eventsOf(response)) if (event?.$case === 'stdout') return;
    throw new Error(`cell ${executionId} printed nothing`);
  }

  readonly attach =
    (executionId: string): Attach =>
    (from, signal) =>
      this.#calls.fetch(
        'GET',
        `${this.#ship}/executions/${executionId}/events?from_sequence=${from}`,
        this.#session,
        undefined,
        signal,
      );

  async state(executionId: string): Promise<string> {
    const path = `${this.#ship}/executions/${executionId}`;
    return (await this.#calls.json<{ state: string }>('GET', path, this.#session)).state;
  }

  /** Reads the whole log, which has an end. */
  async end(executionId: string): Promise<{ outcome: string | undefined; cause: string; stdout: string }> {
    const response = await this.attach(executionId)(0, AbortSignal.timeout(60_000));
    const { ended, stdout } = await foldLog(eventsOf(response));
    return { outcome: ended.outcome?.$case, cause: ended.cause, stdout: stdout.toString() };
  }
}
