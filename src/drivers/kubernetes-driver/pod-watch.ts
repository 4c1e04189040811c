import { setTimeout as sleep } from 'node:timers/promises';
import { timeoutSignal } from '../../../proto/rpc/timeout-signal.js';
import type { V1Pod, V1PodList } from '@kubernetes/client-node';
import type { Log } from '../../telemetry/log.js';
import { jsonLines } from '../json-lines.js';
import type { Cluster } from './open-cluster.js';
import { toError } from '../system-error.js';
import { isKubeError, isNotFound, toKubeError, type KubeError } from './kube-error.js';

/** A Pod as the API server writes it: instants are texts there. What nobody here reads is left out. */
export type Pod = Pick<V1Pod, 'metadata' | 'status'>;

/** What is known of a Pod after a change: its state, or how it was when it was last seen. */
export type PodChange = { readonly pod: Pod } | { readonly pod?: undefined; readonly last: Pod | undefined };

const PAGE = 500;
/** The server ends a watch after so long, and it is taken up again: so a connection that died unseen is noticed. */
const WATCH_SECONDS = 30;
const WATCH_GRACE_MS = 5_000;
/** One that ends sooner is taken up again after a pause, each time a longer one. */
const SHORT_WATCH_MS = 1_000;
const BACKOFF_MS = [50, 100, 250, 500, 1000, 2000, 5000];

/**
 * All Pods of a deployment, from one list and one watch, however many there are and however often they are asked for. It
 * resumes by resourceVersion, and lists anew where the server no longer knows that. While the API server is away it says
 * what was last so.
 */
export class PodWatch {
  readonly #cluster: Cluster;
  readonly #selector: string;
  readonly #log: Log;
  readonly #pods = new Map<string, Pod>();
  readonly #listeners = new Map<string, Set<(change: PodChange) => void>>();
  readonly #closed = new AbortController();
  #resourceVersion: string | undefined;
  #loop: Promise<void> | undefined;
  #firstList: Promise<void> | undefined;

  constructor(cluster: Cluster, selector: string, log: Log) {
    this.#cluster = cluster;
    this.#selector = selector;
    this.#log = log;
  }

  /**
   * Answers when it knows all Pods; begins with it where nobody has.
   *
   * @throws what the first list failed with; the next call tries again
   */
  async ready(): Promise<void> {
    this.#firstList ??= this.#list().catch((error: unknown) => {
      this.#firstList = undefined;
      throw error;
    });
    await this.#firstList;
    this.#loop ??= this.#run();
  }

  get(name: string): Pod | undefined {
    return this.#pods.get(name);
  }

  all(): Pod[] {
    return [...this.#pods.values()];
  }

  /**
   * Follows one Pod until `judge` answers something. It is asked at once, and after every change.
   *
   * @throws what `judge` throws, the signal's reason
   */
  until<T>(name: string, judge: (change: PodChange) => T | undefined, signal: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const stop = () => {
        signal.removeEventListener('abort', abort);
        const listeners = this.#listeners.get(name);
        listeners?.delete(look);
        if (listeners?.size === 0) this.#listeners.delete(name);
      };
      const abort = () => {
        stop();
        reject(signal.reason as Error);
      };
      const look = (change: PodChange) => {
        try {
          const answer = judge(change);
          if (answer === undefined) return;
          stop();
          resolve(answer);
        } catch (error) {
          stop();
          reject(toError(error));
        }
      };
      if (signal.aborted) return abort();
      signal.addEventListener('abort', abort, { once: true });
      this.#listeners.set(name, (this.#listeners.get(name) ?? new Set()).add(look));
      const pod = this.#pods.get(name);
      look(pod ? { pod } : { last: undefined });
    });
  }

  /** Asks the server itself of a Pod, for whoever waits for a change that the watch may have missed. */
  async ask(name: string, signal: AbortSignal): Promise<void> {
    try {
      this.#set(await this.#cluster.client.request<V1Pod>('GET', `${this.path}/${name}`, { signal }));
    } catch (error) {
      if (!isNotFound(error, name)) throw error;
      if (this.#pods.has(name)) this.#remove(name);
    }
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#loop;
  }

  /** The path of Pods, for calls on single ones. */
  get path(): string {
    return `/api/v1/namespaces/${this.#cluster.namespace}/pods`;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closed;
    for (let short = 0; !signal.aborted;) {
      const began = performance.now();
      try {
        if (this.#resourceVersion === undefined) await this.#list();
        await this.#watch();
      } catch (error) {
        if (signal.aborted) return;
        if (isKubeError(error, 410)) this.#resourceVersion = undefined;
        else this.#log.warn({ err: error }, 'watching Pods failed; it is tried again');
      }
      short = performance.now() - began < SHORT_WATCH_MS ? short + 1 : 0;
      const pauseMs = short === 0 ? 0 : BACKOFF_MS[Math.min(short, BACKOFF_MS.length) - 1];
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #list(): Promise<void> {
    const found = new Map<string, Pod>();
    let next: string | undefined;
    let version: string | undefined;
    do {
      const query = { labelSelector: this.#selector, limit: PAGE, continue: next };
      const { client } = this.#cluster;
      const page: V1PodList = await client.request('GET', this.path, { query, signal: this.#closed.signal });
      for (const pod of page.items) found.set(nameOf(pod), pod);
      next = page.metadata?._continue ?? (page.metadata as { continue?: string } | undefined)?.continue;
      version = page.metadata?.resourceVersion;
    } while (next);
    for (const name of [...this.#pods.keys()]) if (!found.has(name)) this.#remove(name);
    for (const pod of found.values()) this.#set(pod);
    this.#resourceVersion = version;
  }

  async #watch(): Promise<void> {
    const signal = timeoutSignal(WATCH_SECONDS * 1000 + WATCH_GRACE_MS, this.#closed.signal);
    const query = {
      ...{ watch: true, allowWatchBookmarks: true, labelSelector: this.#selector },
      ...{ timeoutSeconds: WATCH_SECONDS, resourceVersion: this.#resourceVersion },
    };
    const response = await this.#cluster.client.stream(this.path, { query, signal });
    for await (const event of jsonLines<WatchEvent>(response, signal)) this.#take(event);
  }

  #take(event: WatchEvent): void {
    if (event.type === 'ERROR') throw toFailure(event.object);
    this.#resourceVersion = event.object.metadata?.resourceVersion ?? this.#resourceVersion;
    if (event.type === 'DELETED') this.#remove(nameOf(event.object), event.object);
    else if (event.type !== 'BOOKMARK') this.#set(event.object);
  }

  #set({ metadata, status }: V1Pod): void {
    const { managedFields: _, ...known } = metadata ?? {};
    const pod: Pod = { metadata: known, ...(status ? { status } : {}) };
    this.#pods.set(nameOf(pod), pod);
    this.#tell(nameOf(pod), { pod });
  }

  #remove(name: string, last = this.#pods.get(name)): void {
    this.#pods.delete(name);
    this.#tell(name, { last });
  }

  #tell(name: string, change: PodChange): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) listener(change);
  }
}

interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: V1Pod;
}

const nameOf = (pod: Pod): string => pod.metadata?.name ?? '';

function toFailure(status: object): KubeError {
  const { code } = status as { code?: number };
  return toKubeError(code ?? 500, JSON.stringify(status));
}
