import { Agent, request as requestPlain, type AgentOptions, type IncomingMessage } from 'node:http';
import { Agent as TlsAgent, request as requestTls, type RequestOptions } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeConfig } from '@kubernetes/client-node';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { timeoutSignal } from '../../../proto/rpc/timeout-signal.js';
import { hasCode, toError } from '../system-error.js';
import { isKubeError, toKubeError, type KubeError } from './kube-error.js';

export interface RequestValues {
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: object;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

type Method = 'GET' | 'POST' | 'DELETE';

interface Request extends RequestValues {
  readonly method: Method;
  readonly path: string;
  readonly signal: AbortSignal;
  /** Without the token of the identity. */
  readonly asNobody?: boolean;
}

/** Streams have connections of their own: however many there are, calls find one. */
interface Connections {
  readonly identity: string;
  readonly calls: Agent;
  readonly streams: Agent;
}

type Way = 'calls' | 'streams';

const TIMEOUT_MS = 30_000;
/** A page of 500 Pods has some 5 MiB. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;
const MAX_SOCKETS = 32;
/** Where the server says that it is too busy, and not for how long. */
const BUSY_PAUSE_MS = 1000;
/** Where many changed one thing at once, as the account of a quota. */
const CONFLICT_PAUSE_MS = 100;

/**
 * Calls of the API server with the identity of a kubeconfig, over connections that are kept. The generated client of
 * @kubernetes/client-node makes a connection for every call, waits forever, and knows nothing of Retry-After.
 */
export class KubeClient {
  readonly server: string;
  readonly #reload: (() => KubeConfig) | undefined;
  #config: KubeConfig;
  #connections: Connections | undefined;

  /** @param reload reads the kubeconfig again, for a token in it that has been renewed */
  constructor(config: KubeConfig, reload?: () => KubeConfig) {
    this.#config = config;
    this.#reload = reload;
    const { server, skipTLSVerify } = config.getCurrentCluster() ?? {};
    if (!server) throw new StatusError('DRIVER_REFUSED', 'the kubeconfig names no cluster: set KUBECONFIG');
    if (server.startsWith('http:') && !skipTLSVerify) {
      const message = `the kubeconfig names ${server}, without TLS: name its https address, or, where that is a proxy to trust, say insecure-skip-tls-verify: true beside it`;
      throw new StatusError('DRIVER_REFUSED', message);
    }
    this.server = server.replace(/\/+$/, '');
  }

  /**
   * One call, answered in JSON. A server that is too busy is asked again when it says, as is one where others came first.
   *
   * @throws KubeError what the server said; StatusError DRIVER_UNAVAILABLE where it says nothing; the signal's reason
   */
  async request<T>(method: Method, path: string, values: RequestValues = {}): Promise<T> {
    const { signal: outer, timeoutMs = TIMEOUT_MS } = values;
    const signal = timeoutSignal(timeoutMs, outer);
    try {
      const response = await this.#ask('calls', { ...values, method, path, signal });
      return JSON.parse(await readBody(response)) as T;
    } catch (error) {
      throw this.#toFailure(error, outer, timeoutMs);
    }
  }

  /** A call whose answer is read while it comes, until its end or the signal's. The caller destroys what it gets. */
  async stream(path: string, values: RequestValues & { readonly signal: AbortSignal }): Promise<IncomingMessage> {
    try {
      return await this.#ask('streams', { ...values, method: 'GET', path });
    } catch (error) {
      throw this.#toFailure(error, values.signal, TIMEOUT_MS);
    }
  }

  /** Asks until the server has the time for it. */
  async #ask(over: Way, request: Request): Promise<IncomingMessage> {
    for (let renewed = false; ;) {
      const response = await this.#send(over, request);
      if (!isFailure(response)) return response;
      const error = toKubeError(response.statusCode ?? 0, await readBody(response));
      const pauseMs = pauseBeforeNext(response, error);
      if (pauseMs === undefined) {
        const refusal = await this.#refusal(error, request.signal);
        if (renewed || !this.#renew(refusal)) throw refusal;
        renewed = true;
        continue;
      }
      await sleep(pauseMs, undefined, { signal: request.signal }).catch(() => {
        throw new Error(`it is too busy: ${error.message}`, { cause: error });
      });
    }
  }

  /**
   * A server that has just started knows neither accounts nor roles yet, and takes everybody for nobody. It says whether it
   * is ready to nobody too, where it is set up as usual: so an account that is refused is told from it.
   */
  async #refusal(error: KubeError, signal: AbortSignal): Promise<Error> {
    const unknown = error.status === 401 || (error.status === 403 && / cannot \w+ resource /.test(error.message));
    if (!unknown) return error;
    const response = await this.#send('calls', {
      ...{ method: 'GET', path: '/readyz', signal },
      asNobody: error.status === 401,
    });
    await readBody(response);
    return isFailure(response) ? new Error(`it is not ready: ${error.message}`, { cause: error }) : error;
  }

  /** Whether there is another identity to try: a kubeconfig that was renewed since. */
  #renew(error: unknown): boolean {
    if (!isKubeError(error, 401) || !this.#reload) return false;
    try {
      this.#config = this.#reload();
      return true;
    } catch {
      return false; // it is being written, or gone: the server's own word is told
    }
  }

  close(): void {
    this.#connections?.calls.destroy();
    this.#connections?.streams.destroy();
  }

  async #send(
    over: Way,
    { method, path, query = {}, body: value, signal, asNobody = false }: Request,
  ): Promise<IncomingMessage> {
    const url = new URL(this.server + path);
    for (const [name, text] of Object.entries(query)) if (text !== undefined) url.searchParams.set(name, `${text}`);
    const body = value === undefined ? undefined : JSON.stringify(value);
    const { connections, headers, auth } = await this.#identify();
    const options: RequestOptions = {
      ...{ method, agent: connections[over], signal },
      ...(auth === undefined || asNobody ? {} : { auth }),
      headers: {
        ...(asNobody ? {} : headers),
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
  async #identify(): Promise<{
    connections: Connections;
    headers: RequestOptions['headers'];
    auth: string | undefined;
  }> {
    const options: RequestOptions = { headers: {} };
    await this.#config.applyToHTTPSOptions(options);
    const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername } = options;
    const identity = JSON.stringify([ca, cert, key, pfx, passphrase]);
    if (this.#connections?.identity !== identity) {
      this.close();
      const tls = { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername };
      const viaProxy = this.#config.getCurrentCluster()?.proxyUrl !== undefined;
      const open = (kept: AgentOptions) => {
        if (viaProxy) return options.agent as Agent;
        return this.server.startsWith('http:') ? new Agent(kept) : new TlsAgent({ ...kept, ...tls });
      };
      this.#connections = { identity, calls: open({ keepAlive: true, maxSockets: MAX_SOCKETS }), streams: open({}) };
    }
    return { connections: this.#connections, headers: options.headers, auth: options.auth ?? undefined };
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

/** Milliseconds until the server may take what it refused now; undefined where it will not. */
function pauseBeforeNext(response: IncomingMessage, { status, reason }: KubeError): number | undefined {
  if (status === 409 && reason === 'Conflict') return CONFLICT_PAUSE_MS;
  if (status !== 429) return undefined;
  const seconds = Number(response.headers['retry-after']);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : BUSY_PAUSE_MS;
}
