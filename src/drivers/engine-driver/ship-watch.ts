import type { Log } from '../../telemetry/log.js';
import type { Inspection } from '../driver.js';
import { KILLED } from '../end-reason.js';
import { bounded, type Engine } from './engine.js';
import { followEvents, type EngineEvent } from './engine-events.js';
import { engineTrouble } from './engine-error.js';
import type { EngineKind } from './options.js';
import { inspectContainer } from './inspect-container.js';
import { LABEL } from './labels.js';

export interface ShipWatchOptions {
  readonly engine: Engine;
  readonly deploymentId: string;
  /** The name of the network of ships. */
  readonly network: string;
  readonly log: Log;
  /** The engine may have lost what was set in it: it was away, the network was made anew, or others than ships came or went. */
  onNetworkDoubt(): void;
}

/** A kill for want of memory explains an end that follows it within this time. */
const OOM_EXPLAINS_NANO = 2e9;
/** Pauses that end by themselves, as those of `docker commit`, are left alone for so long. */
const PAUSE_GRACE_MS = 2_000;

/** What events have told of a container; forgotten when it is removed. */
interface Story {
  oomNano?: number;
  /** Somebody ended it by the engine, so that want of memory does not explain it. */
  killNano?: number;
  end?: { readonly exitCode: number; readonly timeNano: number };
}

/** The engine tells of somebody's kill now and then only after the end that it brought. */
const KILL_TOLD_WITHIN_MS = 100;

/**
 * Knows what becomes of this deployment's containers, from the engine's events and not by asking again and again. After a
 * break of their stream it looks at everything that somebody waits for. A ship that was paused behind Bay's back is set
 * going again: a ship that Bay calls running runs.
 */
export class ShipWatch {
  readonly #options: ShipWatchOptions;
  readonly #ending = new AbortController();
  readonly #stories = new Map<string, Story>();
  /** Containers that are ships, those of other deployments included. */
  readonly #ships = new Set<string>();
  /** By container id: whoever wants to look when something happened to it. */
  readonly #waiters = new Map<string, Set<() => void>>();
  #connections = 0;

  constructor(options: ShipWatchOptions) {
    this.#options = options;
    const listener = { onEvent: (event: EngineEvent) => this.#note(event), onConnected: () => this.#connected() };
    void followEvents(options.engine, listener, options.log, this.#ending.signal);
  }

  /** Whether the container's end is told by a kill for want of memory just before it; undefined where nobody watched. */
  endedForMemory(containerId: string): boolean | undefined {
    const story = this.#stories.get(containerId);
    return story && wasOom(story, this.#options.engine.kind);
  }

  /** Resolves when the container is dead or gone. */
  async died(containerId: string, signal: AbortSignal): Promise<Inspection> {
    for (;;) {
      const happened = this.#next(containerId, signal);
      try {
        const seen = await this.#look(containerId, signal);
        if (seen?.state === 'gone') return seen;
        await happened.promise;
      } finally {
        happened.forget();
      }
    }
  }

  close(): void {
    this.#ending.abort(new Error('the driver was closed'));
  }

  /** undefined while the engine does not answer: it is asked again when it does. */
  async #look(containerId: string, signal: AbortSignal): Promise<Inspection | undefined> {
    try {
      return await inspectContainer(this.#options.engine, containerId, this.endedForMemory(containerId), signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#options.log.debug({ containerId, reason: engineTrouble(error) }, 'could not look at a ship');
      return undefined;
    }
  }

  #next(containerId: string, signal: AbortSignal) {
    const waiters = this.#waiters.get(containerId) ?? new Set();
    this.#waiters.set(containerId, waiters);
    let settle: { resolve: () => void; reject: (reason: unknown) => void } | undefined;
    const promise = new Promise<void>((resolve, reject) => (settle = { resolve, reject }));
    promise.catch(() => undefined); // whoever waits hears of it; nobody may
    const wake = () => settle?.resolve();
    const abort = () => settle?.reject(signal.reason);
    waiters.add(wake);
    signal.addEventListener('abort', abort, { once: true });
    const forget = () => {
      signal.removeEventListener('abort', abort);
      waiters.delete(wake);
      if (waiters.size === 0) this.#waiters.delete(containerId);
    };
    return { promise, forget };
  }

  #note(event: EngineEvent): void {
    const { Type, Action, Actor, timeNano } = event;
    if (Type === 'network') return this.#noteNetwork(event);
    if (Actor.Attributes?.[LABEL.ship] === undefined) return;
    this.#ships.add(Actor.ID);
    if (isRemoval(Action)) this.#ships.delete(Actor.ID);
    if (Actor.Attributes[LABEL.deployment] !== this.#options.deploymentId) return;
    const story = this.#stories.get(Actor.ID) ?? {};
    this.#stories.set(Actor.ID, story);
    switch (Action) {
      case 'oom':
        story.oomNano = timeNano;
        return;
      case 'kill':
        story.killNano = timeNano;
        return;
      case 'die':
      case 'died': {
        const exitCode = Number(Actor.Attributes.exitCode ?? Actor.Attributes.containerExitCode);
        story.end = { exitCode, timeNano };
        if (!wasOom(story, this.#options.engine.kind)) return this.#wake(Actor.ID);
        setTimeout(() => this.#wake(Actor.ID), KILL_TOLD_WITHIN_MS).unref();
        return;
      }
      case 'pause':
        return this.#resumeLater(Actor.ID);
    }
    if (!isRemoval(Action)) return;
    this.#wake(Actor.ID);
    this.#stories.delete(Actor.ID);
  }

  #noteNetwork({ Action, Actor }: EngineEvent): void {
    if (Action !== 'connect' && Action !== 'disconnect' && Action !== 'create') return;
    const { name, container = '' } = Actor.Attributes ?? {};
    if (name === this.#options.network && !this.#ships.has(container)) this.#options.onNetworkDoubt();
  }

  #wake(containerId: string): void {
    for (const wake of this.#waiters.get(containerId) ?? []) wake();
  }

  #connected(): void {
    this.#connections += 1;
    if (this.#connections > 1) this.#options.onNetworkDoubt();
    for (const containerId of this.#waiters.keys()) this.#wake(containerId);
    void this.#resumePaused();
  }

  #resumeLater(containerId: string): void {
    setTimeout(() => void this.#resume(containerId), PAUSE_GRACE_MS).unref();
  }

  async #resumePaused(): Promise<void> {
    const { engine, deploymentId } = this.#options;
    const filters = { label: [`${LABEL.deployment}=${deploymentId}`], status: ['paused'] };
    const paused = await engine.docker.listContainers({ filters, abortSignal: bounded() }).catch(() => []);
    for (const { Id } of paused) this.#resumeLater(Id);
  }

  async #resume(containerId: string): Promise<void> {
    const { engine, log } = this.#options;
    try {
      const container = engine.docker.getContainer(containerId);
      const { State } = await container.inspect({ abortSignal: bounded() });
      if (!State.Paused) return;
      await container.unpause({ abortSignal: bounded() });
      log.warn({ containerId }, 'a ship was paused by somebody else: it was set going again');
    } catch (error) {
      log.warn({ containerId, reason: engineTrouble(error) }, 'a ship is paused and could not be set going again');
    }
  }
}

const isRemoval = (action: string): boolean => action === 'destroy' || action === 'remove';

/** undefined where events do not tell: nobody saw the end, or Podman, which has none for want of memory: its own mark counts. */
function wasOom({ oomNano, killNano, end }: Story, kind: EngineKind): boolean | undefined {
  if (!end) return undefined;
  const justBefore = (nano: number | undefined) => nano !== undefined && end.timeNano - nano < OOM_EXPLAINS_NANO;
  if (end.exitCode !== KILLED || justBefore(killNano)) return false;
  return kind === 'podman' ? undefined : justBefore(oomNano);
}
