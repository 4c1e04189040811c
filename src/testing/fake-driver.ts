import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Driver, FoundShip, Inspection, StartOptions, StartedShip } from '../drivers/driver.js';
import { StatusError } from '../../proto/rpc/status-error.js';
import type { Ship, UidPolicy } from '../ships/ship.js';
import { FakeAgent } from './fake-agent.js';

interface Life {
  readonly shipId: string;
  readonly incarnation: number;
  readonly agent: FakeAgent;
  readonly handle: Readonly<Record<string, unknown>>;
  readonly died: Set<(death: Inspection) => void>;
}

/** A driver whose ships are FakeAgents. It outlives the Bays of a test, as an engine does. */
export class FakeDriver implements Driver {
  name = 'fake';
  uids: UidPolicy = { scope: 'deployment', base: 70_000 };
  readonly folder = mkdtempSync(path.join(tmpdir(), 'sy-'));
  readonly data = new Set<string>();
  /** What was asked for, in order: "start <n>", "stop <n>" with incarnations. */
  readonly stopped: string[] = [];
  readonly started: string[] = [];
  /** The most lives there ever were at once. */
  mostAtOnce = 0;
  /** Steps that a test may hold up or let fail. */
  beforeStart: (ship: Ship, signal: AbortSignal) => Promise<void> = async () => undefined;
  beforeStop: (ship: Ship) => Promise<void> = async () => undefined;
  /** Whether died() tells; an engine need not. */
  tellsDeath = true;
  readonly #lives = new Map<string, Life>();
  #sockets = 0;

  async check() {
    return { summary: 'fake', network: 'none' as const, warnings: [] };
  }

  async start(ship: Ship, { token, signal }: StartOptions): Promise<StartedShip> {
    await this.beforeStart(ship, signal);
    signal.throwIfAborted();
    const socketPath = path.join(this.folder, `${(this.#sockets += 1)}.sock`);
    const agent = new FakeAgent(ship, token);
    await agent.listen(socketPath);
    const handle = { socketPath, incarnation: ship.incarnation };
    this.#lives.set(ship.id, { shipId: ship.id, incarnation: ship.incarnation, agent, handle, died: new Set() });
    this.data.add(ship.id);
    this.started.push(ship.id);
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#lives.size);
    const isolation = { kind: 'none' as const, network: 'none' as const, limits: [], missing: [] };
    return { handle, isolation, containerId: `fake-${this.#sockets}`, ipAddress: '192.0.2.1' };
  }

  endpoint(handle: Readonly<Record<string, unknown>>) {
    return { kind: 'unix' as const, path: String(handle.socketPath) };
  }

  async inspect(ship: Ship): Promise<Inspection> {
    const life = this.#lives.get(ship.id);
    return life?.incarnation === ship.incarnation
      ? { state: 'running' }
      : { state: 'gone', reason: 'the process is gone' };
  }

  async stop(ship: Ship): Promise<void> {
    await this.beforeStop(ship);
    this.stopped.push(ship.id);
    const life = this.#lives.get(ship.id);
    if (life?.incarnation !== ship.incarnation) return;
    this.#lives.delete(ship.id);
    await life.agent.close();
  }

  async removeData(shipId: string): Promise<void> {
    this.data.delete(shipId);
  }

  async hasData(shipId: string): Promise<boolean> {
    return this.data.has(shipId);
  }

  async list(): Promise<readonly FoundShip[]> {
    return [...this.#lives.values()].map(({ shipId, incarnation, handle }) => ({ shipId, incarnation, handle }));
  }

  async *logs(): AsyncGenerator<string, void, undefined> {
    yield 'fake log\n';
  }

  died(ship: Ship, signal: AbortSignal): Promise<Inspection> {
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      if (this.tellsDeath) this.#lives.get(ship.id)?.died.add(resolve);
    });
  }

  agent(shipId: string): FakeAgent {
    const life = this.#lives.get(shipId);
    if (!life) throw new StatusError('SHIP_NOT_RUNNING', `no life of ${shipId}`);
    return life.agent;
  }

  get lives(): string[] {
    return [...this.#lives.keys()];
  }

  /** The ship dies by itself, as by a SIGKILL from outside. */
  async kill(shipId: string): Promise<void> {
    const life = this.#lives.get(shipId);
    this.#lives.delete(shipId);
    for (const tell of life?.died ?? []) tell({ state: 'gone', reason: 'killed by SIGKILL' });
    await life?.agent.close();
  }

  async close(): Promise<void> {
    await Promise.all(this.lives.map((shipId) => this.kill(shipId)));
    rmSync(this.folder, { recursive: true, force: true });
  }
}
