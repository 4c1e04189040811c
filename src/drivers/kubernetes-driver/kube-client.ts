import { Agent, request as requestPlain, type IncomingMessage } from 'node:http';
import { Agent as TlsAgent, request as requestTls, type RequestOptions } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeConfig } from '@kubernetes/client-node';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { timeoutSignal } from '../../../proto/rpc/timeout-signal.js';
import { hasCode, toError } from '../system-error.js';
import { toKubeError, type KubeError } from './kube-error.js';

export interface RequestValues {
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: object;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

type Method = 'GET' | 'POST' | 'DELETE';

const TIMEOUT_MS = 30_000;
/** A page of 500 Pods has some 5 MiB. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;
const MAX_SOCKETS = 32;
/** Where the server says that it is too busy, and not for how long. */
const BUSY_PAUSE_MS = 1000;

/**
 * Calls of the API server with the identity of a kubeconfig, over connections that are kept. The generated client of
 * @kubernetes/client-node makes a connection for every call, waits forever, and knows nothing of Retry-After.
 */
export class KubeClient {
  readonly server: string;
  readonly #config: KubeConfig;
  #connections: { readonly agent: Agent; readonly identity: string } | undefined;

  constructor(config: KubeConfig) {
    this.#config = config;
    const server = config.getCurrentCluster()?.server;
    if (!server) throw new StatusError('DRIVER_REFUSED', 'the kubeconfig names no cluster: set KUBECONFIG');
    this.server = server.replace(/\/+$/, '');
  }

  /**
   * One call, answered in JSON. A server that is too busy is asked again when it says.
   *
   * @throws KubeError what the server said; StatusError DRIVER_UNAVAILABLE where it says nothing; the signal's reason
   */
  async request<T>(method: Method, path: string, values: RequestValues = {}): Promise<T> {
    const { signal: outer, timeoutMs = TIMEOUT_MS } = values;
    const signal = timeoutSignal(timeoutMs, outer);
    try {
      for (;;) {
        const response = await this.#send(method, path, values, signal);
        const body = await readBody(response);
        if (response.statusCode === 429) await sleep(retryAfterMs(response), undefined, { signal });
        else if (isFailure(response)) throw await this.#refusal(toKubeError(response.statusCode ?? 0, body), signal);
        else return JSON.parse(body) as T;
      }
    } catch (error) {
      throw this.#toFailure(error, outer, timeoutMs);
    }
  }

  /** A call whose answer is read while it comes, until its end or the signal's. The caller destroys what it gets. */
  async stream(path: string, values: RequestValues & { readonly signal: AbortSignal }): Promise<IncomingMessage> {
    try {
      const response = await this.#send('GET', path, values, values.signal);
      if (isFailure(response)) throw toKubeError(response.statusCode ?? 0, await readBody(response));
      return response;
    } catch (error) {
      throw this.#toFailure(error, values.signal, TIMEOUT_MS);
    }
  }

  /** A server that has just started knows neither accounts nor roles yet, and takes everybody for nobody. */
  async #refusal(error: KubeError, signal: AbortSignal): Promise<Error> {
    const unknown = error.status === 401 || (error.status === 403 && / cannot \w+ resource /.test(error.message));
    if (!unknown) return error;
    const response = await this.#send('GET', '/readyz', {}, signal);
    await readBody(response);
    return isFailure(response) ? new Error(`it is not ready: ${error.message}`, { cause: error }) : error;
  }

  close(): void {
    this.#connections?.agent.destroy();
  }

  async #send(method: Method, path: string, values: RequestValues, signal: AbortSignal): Promise<IncomingMessage> {
    const url = new URL(this.server + path);
    for (const [name, value] of Object.entries(values.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, `${value}`);
    }
    const body = values.body === undefined ? undefined : JSON.stringify(values.body);
    const { agent, headers, auth } = await this.#identify();
    const options: RequestOptions = {
      ...{ method, agent, signal },
      ...(auth === undefined ? {} : { auth }),
      headers: {
        ...headers,
        accept: 'application/json',
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      },
    };
    try {
      return await exchange(url, options, body);
    } catch (error) {
      // The server closed a kept connection at the moment when it was used.
      if (!(error instanceof StaleConnection) || signal.aborted) throw error;
      return exchange(url, options, body);
    }
  }

  /** Who we are, as of now: tokens are renewed and certificates replaced while Bay runs. */
  async #identify(): Promise<{ agent: Agent; headers: RequestOptions['headers']; auth: string | undefined }> {
    const options: RequestOptions = { headers: {} };
    await this.#config.applyToHTTPSOptions(options);
    const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername } = options;
    const identity = JSON.stringify([ca, cert, key, pfx, passphrase]);
    if (this.#connections?.identity !== identity) {
      this.close();
      const kept = { keepAlive: true, maxSockets: MAX_SOCKETS };
      const tls = { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername };
      const own = this.server.startsWith('http:') ? new Agent(kept) : new TlsAgent({ ...kept, ...tls });
      const viaProxy = this.#config.getCurrentCluster()?.proxyUrl !== undefined;
      this.#connections = { identity, agent: viaProxy ? (options.agent as Agent) : own };
    }
    return { agent: this.#connections.agent, headers: options.headers, auth: options.auth ?? undefined };
  }

  #toFailure(error: unknown, outer: AbortSignal | undefined, timeoutMs: number): unknown {
    if (outer?.aborted) return outer.reason;
    if (error instanceof Error && ['KubeError', 'StatusError'].includes(error.name)) return error;
    const why = hasCode(error, 'ABORT_ERR') ? `no answer within ${timeoutMs} ms` : toError(error).message;
    const message = `the API server at ${this.server} does not answer: ${why}`;
    return new StatusError('DRIVER_UNAVAILABLE', message, { cause: error });
  }
}

class StaleConnection extends Error {}

function exchange(url: URL, options: RequestOptions, body: string | undefined): Promise<IncomingMessage> {
  const send = url.protocol === 'http:' ? requestPlain : requestTls;
  return new Promise((resolve, reject) => {
    const request = send(url, options, resolve);
    request.once('error', (error) => {
      const stale = request.reusedSocket && hasCode(error, 'ECONNRESET', 'EPIPE');
      reject(stale ? new StaleConnection(error.message, { cause: error }) : error);
    });
    request.end(body);
  });
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new Error(`an answer of more than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const isFailure = ({ statusCode = 0 }: IncomingMessage): boolean => statusCode < 200 || statusCode > 299;

function retryAfterMs(response: IncomingMessage): number {
  const seconds = Number(response.headers['retry-after']);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : BUSY_PAUSE_MS;
}
