import { ExecutionServiceDefinition } from '../../proto/gen/shipyard/execution/v1/execution_service.js';
import { FileServiceDefinition } from '../../proto/gen/shipyard/execution/v1/file_service.js';
import { ShipServiceDefinition } from '../../proto/gen/shipyard/ship/v1/ship.js';
import type { Cancellation } from '../../proto/rpc/cancellation.js';
import { createClient } from '../../proto/rpc/client.js';
import type { Client } from '../../proto/rpc/definition.js';
import { isLinkLost } from '../../proto/rpc/link-lost.js';
import { orAborted } from '../../proto/rpc/or-aborted.js';
import { StatusError } from '../../proto/rpc/status-error.js';
import { timeoutSignal } from '../../proto/rpc/timeout-signal.js';
import type { Endpoint } from '../drivers/driver.js';
import type { Lease, Ship } from '../ships/ship.js';
import { systemClock } from '../telemetry/clock.js';
import type { Log } from '../telemetry/log.js';
import { CallsUnderWay, type CallKind } from './calls-under-way.js';
import type { DialledShip, ShipDialer } from './dial-ship.js';
import type { FileChannel } from './file-channel.js';
import { shipNotRunning } from './not-running.js';
import { Unfinished } from './unfinished.js';

/** How long calls wait for a link that broke, before they fail with SHIP_UNREACHABLE. */
export const UNREACHABLE_AFTER_MS = 10_000;
/** Bounds one attempt to dial. */
const DIAL_TIMEOUT_MS = 2_000;
/** Between two attempts: short at first, since a ship that starts is ready any moment. */
const REDIAL_MS = [2, 5, 10, 20, 50, 100];
const BIND_TIMEOUT_MS = 30_000;
/** Renewals of leases reach the agent at most this often. The agent acts on them only 10 minutes after their end. */
const LEASE_INTERVAL_MS = 5_000;

/** Calls on a ship, over one connection. They fail with isLinkLost() when that connection goes. */
export interface ShipCalls {
  readonly ship: Client<typeof ShipServiceDefinition>;
  readonly executions: Client<typeof ExecutionServiceDefinition>;
  readonly files: Client<typeof FileServiceDefinition>;
}

export interface ShipLinkDeps {
  readonly dialer: ShipDialer;
  readonly log: Log;
  /** Sessions with unfinished work; called when the agent says so. */
  onActivity(shipId: string, sessionIds: readonly string[]): void;
  /** The connection broke, or an attempt to dial again failed: look whether the ship lives. */
  onTrouble(link: ShipLink): void;
  /** What to tell the agent of its leases; undefined where the ship no longer runs. */
  readLease(shipId: string): Promise<{ readonly fence: number; readonly remainingMs: number } | undefined>;
}

/**
 * Bay's link to one incarnation of a ship: dials until Hello, dials again whenever the connection breaks, watches what
 * the ship does and tells it how long it is wanted.
 */
export class ShipLink {
  readonly shipId: string;
  readonly incarnation: number;
  readonly endpoint: Endpoint;
  readonly #deps: ShipLinkDeps;
  readonly #token: string;
  readonly #closed = new AbortController();
  readonly #waiters = new Set<() => void>();
  readonly #unfinished = new Unfinished();
  /** true, or a BindSession that is under way. */
  readonly #bound = new Map<string, true | Promise<void>>();
  readonly #inFlight = new CallsUnderWay();
  #calls: ShipCalls | undefined;
  #connection: DialledShip | undefined;
  #downSince = performance.now();
  #trouble = 'it was not dialled yet';
  #files: { channel: FileChannel; client: Client<typeof FileServiceDefinition> } | undefined;
  #leaseTimer: NodeJS.Timeout | undefined;
  #leaseDirty = false;
  #stopping = false;

  constructor(deps: ShipLinkDeps, ship: Pick<Ship, 'id' | 'incarnation'>, endpoint: Endpoint, token: string) {
    this.#deps = deps;
    this.shipId = ship.id;
    this.incarnation = ship.incarnation;
    this.endpoint = endpoint;
    this.#token = token;
    void this.#keep();
  }

  get connected(): boolean {
    return this.#calls !== undefined;
  }

  /** Whether the agent said that it ends: it lets no session in any more. */
  get stopping(): boolean {
    return this.#stopping;
  }

  /** How long there has been no connection, in milliseconds; 0 while there is one. */
  get downMs(): number {
    return this.#calls ? 0 : performance.now() - this.#downSince;
  }

  /** Aborts when the link is given up. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** What the last attempt to dial failed with, for people. */
  get trouble(): string {
    return this.#trouble;
  }

  /**
   * Calls over the present connection. Where there is none it waits for the next one.
   *
   * @throws StatusError SHIP_UNREACHABLE when it has been down for `withinMs`; SHIP_NOT_RUNNING when the link was closed
   */
  async calls(signal: Cancellation, withinMs = UNREACHABLE_AFTER_MS): Promise<ShipCalls> {
    while (!this.#calls) {
      signal.throwIfAborted();
      if (this.#closed.signal.aborted) throw shipNotRunning();
      const leftMs = withinMs - this.downMs;
      if (leftMs <= 0) {
        throw new StatusError(
          'SHIP_UNREACHABLE',
          `the ship's agent has not answered for ${Math.round(this.downMs)} ms`,
        );
      }
      await this.#change(leftMs, signal);
    }
    return this.#calls;
  }

  /** Waits until the ship has ended the connection, and no longer than this. */
  async untilDown(withinMs: number): Promise<void> {
    const end = performance.now() + withinMs;
    const never = new AbortController().signal;
    while (this.#calls && performance.now() < end) await this.#change(end - performance.now(), never);
  }

  /** The file service over a connection of its own; for Upload and Download alone. */
  fileStreams(): Client<typeof FileServiceDefinition> {
    if (!this.#files) {
      const channel = this.#deps.dialer.openFileChannel(this.endpoint, this.#token);
      this.#files = { channel, client: createClient(FileServiceDefinition, channel) };
    }
    return this.#files.client;
  }

  /** Lets the session in, once for each incarnation; further calls share the first one's answer. */
  async bind(lease: Lease, fence: number, signal: Cancellation): Promise<void> {
    const known = this.#bound.get(lease.sessionId);
    if (known === true) return;
    const { sessionId } = lease;
    const binding = known ?? this.#bind(lease, fence);
    if (!known) {
      this.#bound.set(sessionId, binding);
      const settle = (bound: boolean) => {
        if (this.#bound.get(sessionId) !== binding) return;
        if (bound) this.#bound.set(sessionId, true);
        else this.#bound.delete(sessionId);
      };
      binding.then(
        () => settle(true),
        () => settle(false),
      );
    }
    await orAborted(binding, signal);
  }

  /** Ends the session in the ship: its executions, kernel and processes. It is bound anew when it comes back. */
  async endSession(sessionId: string, fence: number, signal: Cancellation): Promise<void> {
    this.#bound.delete(sessionId);
    await this.repeat(signal, (calls, options) =>
      calls.ship.endSession({ fence: { incarnation: this.incarnation, number: fence }, sessionId }, options),
    );
    this.#unfinished.forget(sessionId);
  }

  /** Runs a call that is safe to repeat, again where the link broke under it. */
  async repeat<T>(
    signal: Cancellation,
    call: (calls: ShipCalls, options: { signal: Cancellation }) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      const calls = await this.calls(signal);
      try {
        return await call(calls, { signal });
      } catch (error) {
        if (signal.aborted || !isLinkLost(error)) throw error;
        this.#drop(calls);
      }
    }
  }

  /** The connection broke under a call, perhaps before the link itself has noticed: nobody is given it again. */
  lost(calls: ShipCalls): void {
    this.#drop(calls);
  }

  /** A call of the session is under way until the function that this returns is called. @throws StatusError TOO_MANY_CALLS */
  enter(sessionId: string, kind?: CallKind): () => void {
    return this.#inFlight.enter(sessionId, kind);
  }

  /** Sessions with work that is not over, as far as the ship has told. */
  workingSessions(): Set<string> {
    return new Set(this.#unfinished.sessions());
  }

  /** Sessions with work that is not over, or with a call under way. */
  activeSessions(): Set<string> {
    return new Set([...this.#unfinished.sessions(), ...this.#inFlight.sessions()]);
  }

  /** The leases changed: tell the agent, at once or with the next ones. */
  leaseChanged(options: { now: boolean }): void {
    this.#leaseDirty = true;
    if (options.now && this.#leaseTimer) {
      clearTimeout(this.#leaseTimer);
      this.#leaseTimer = undefined;
    }
    this.#leaseTimer ??= setTimeout(() => void this.#announceLease(), options.now ? 0 : LEASE_INTERVAL_MS).unref();
  }

  close(): void {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(shipNotRunning());
    clearTimeout(this.#leaseTimer);
    this.#connection?.close();
    this.#files?.channel.close();
    this.#calls = undefined;
    this.#wake();
  }

  async #keep(): Promise<void> {
    for (let attempt = 0; !this.#closed.signal.aborted; attempt += 1) {
      try {
        const connection = await this.#dial();
        attempt = 0;
        this.#up(connection);
        const reason = await connection.closed;
        this.#trouble = reason.message;
        if (this.#connection === connection) this.#down();
        this.#deps.log.debug({ shipId: this.shipId, reason: reason.message }, 'the link to a ship broke');
      } catch (error) {
        if (this.#closed.signal.aborted) return;
        this.#trouble = error instanceof Error ? error.message : String(error);
      }
      if (this.#closed.signal.aborted) return;
      this.#deps.onTrouble(this);
      const pause = REDIAL_MS[Math.min(attempt, REDIAL_MS.length - 1)] ?? 100;
      await systemClock.sleep(pause, this.#closed.signal).catch(() => undefined);
    }
  }

  async #dial(): Promise<DialledShip> {
    const connection = await this.#deps.dialer.dial(this.endpoint, {
      token: this.#token,
      signal: this.#closed.signal,
      timeoutMs: DIAL_TIMEOUT_MS,
    });
    const { shipId, incarnation } = connection.hello;
    if (shipId === this.shipId && incarnation === this.incarnation) return connection;
    connection.close();
    throw new StatusError('SHIP_UNREACHABLE', `another ship answers there: ${shipId} in its life ${incarnation}`);
  }

  #up(connection: DialledShip): void {
    if (this.#closed.signal.aborted) return connection.close();
    this.#connection = connection;
    this.#calls = {
      ship: createClient(ShipServiceDefinition, connection.transport),
      executions: createClient(ExecutionServiceDefinition, connection.transport),
      files: createClient(FileServiceDefinition, connection.transport),
    };
    this.#wake();
    this.leaseChanged({ now: true });
    void this.#watch(connection, this.#calls);
  }

  #drop(calls: ShipCalls): void {
    if (this.#calls !== calls) return;
    this.#connection?.close();
    this.#down();
  }

  #down(): void {
    this.#connection = undefined;
    this.#calls = undefined;
    this.#downSince = performance.now();
    this.#wake();
  }

  /** Ends with its connection. A ship that ends the stream by itself is asked again. */
  async #watch(connection: DialledShip, calls: ShipCalls): Promise<void> {
    while (this.#connection === connection) {
      try {
        for await (const { event } of calls.ship.watch({}, { signal: this.#closed.signal })) {
          if (event?.$case === 'stopping') this.#stopping = true;
          const active = event && this.#unfinished.note(event);
          if (active && active.length > 0) this.#deps.onActivity(this.shipId, active);
        }
      } catch (error) {
        if (isLinkLost(error) || this.#closed.signal.aborted) return;
        this.#deps.log.warn({ shipId: this.shipId, err: error }, 'watching a ship failed');
      }
      await systemClock.sleep(1000, this.#closed.signal).catch(() => undefined);
    }
  }

  /** Of all callers, so bound by its own time and by no caller's leaving. */
  async #bind(lease: Lease, fence: number): Promise<void> {
    const signal = timeoutSignal(BIND_TIMEOUT_MS, this.#closed.signal);
    const request = {
      fence: { incarnation: this.incarnation, number: fence },
      sessionId: lease.sessionId,
      uid: lease.uid,
      homeName: lease.homeName,
    };
    await this.repeat(signal, (calls, options) => calls.ship.bindSession(request, options));
  }

  async #announceLease(): Promise<void> {
    this.#leaseTimer = undefined;
    const calls = this.#calls;
    if (!calls || !this.#leaseDirty) return; // the next connection announces it
    this.#leaseDirty = false;
    try {
      const lease = await this.#deps.readLease(this.shipId);
      if (!lease || this.#closed.signal.aborted) return;
      const fence = { incarnation: this.incarnation, number: lease.fence };
      await calls.ship.setLease(
        { fence, remainingMs: lease.remainingMs },
        { timeoutMs: 5000, signal: this.#closed.signal },
      );
    } catch (error) {
      if (this.#closed.signal.aborted || isLinkLost(error)) return;
      this.#deps.log.warn({ shipId: this.shipId, err: error }, 'could not tell a ship of its lease');
      this.leaseChanged({ now: false });
    }
  }

  #wake(): void {
    for (const wake of this.#waiters) wake();
  }

  async #change(withinMs: number, signal: Cancellation): Promise<void> {
    let done: () => void = () => undefined;
    const changed = new Promise<void>((resolve) => (done = resolve));
    const timer = setTimeout(done, withinMs);
    this.#waiters.add(done);
    signal.addEventListener('abort', done, { once: true });
    await changed;
    clearTimeout(timer);
    this.#waiters.delete(done);
    signal.removeEventListener('abort', done);
  }
}
