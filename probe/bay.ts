/** Bay's `/v1` routes, as far as the probes need them: what any client of Bay can do. */

export interface ShipFacts {
  readonly shipId: string;
  readonly incarnation: number;
  readonly driver: string;
  readonly ipAddress?: string;
  readonly currentSessionNum: number;
  readonly isolation?: {
    readonly kind?: string;
    readonly network?: string;
    readonly limits?: readonly string[];
    readonly missing?: readonly string[];
  };
}

export type Work =
  | { readonly cell: { readonly code: string } }
  | {
      readonly command: {
        readonly command?: string;
        readonly argv?: readonly string[];
        readonly env?: Readonly<Record<string, string>>;
        readonly background?: boolean;
      };
    };

/** The fold of a finished execution. */
export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  /** undefined where it did not leave with a code. */
  readonly exitCode: number | undefined;
  readonly cause: string;
  readonly executionId: string;
}

/** Whether the session is the very user that its agent is. */
export const hasOneUser = ({ isolation }: ShipFacts): boolean =>
  isolation?.missing?.some((text) => text.startsWith('a user for the session')) ?? false;

/** A refusal by Bay or by a ship. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly reason: string,
    message: string,
  ) {
    super(message);
  }
}

const CALL_TIMEOUT_MS = 30_000;
/** Beyond the time that the work itself may take. */
const ANSWER_MS = 15_000;

export interface CallOptions {
  readonly session?: string;
  /** JSON, or bytes as they are. */
  readonly body?: object | Uint8Array | FormData;
  readonly timeoutMs?: number;
}

export class Bay {
  constructor(
    readonly url: string,
    private readonly token: string,
  ) {}

  /** @throws Refused */
  async call(method: string, path: string, options: CallOptions = {}): Promise<Response> {
    const { session, body, timeoutMs = CALL_TIMEOUT_MS } = options;
    const plain = body instanceof Uint8Array || body instanceof FormData;
    const response = await fetch(this.url + path, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(session === undefined ? {} : { 'x-session-id': session }),
        ...(body === undefined || plain ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? null : plain ? (body as Uint8Array<ArrayBuffer> | FormData) : JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (response.ok) return response;
    const text = await response.text();
    const { reason = '', message = text } = errorOf(text);
    throw new Refused(response.status, reason, message);
  }

  async json<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    return (await (await this.call(method, path, options)).json()) as T;
  }

  createShip(session: string, maxSessionNum = 1): Promise<ShipFacts> {
    const body = { ttlSeconds: 1800, maxSessionNum };
    return this.json('POST', '/v1/ships', { session, body, timeoutMs: 120_000 });
  }

  async deleteShip(shipId: string): Promise<void> {
    await this.call('DELETE', `/v1/ships/${shipId}`, { timeoutMs: 60_000 });
  }

  async endLease(shipId: string, session: string): Promise<void> {
    await this.call('POST', `/v1/ships/${shipId}:endLease`, { session, body: {}, timeoutMs: 60_000 });
  }

  /** What the ship's agent and its engine wrote. */
  async shipLogs(shipId: string): Promise<string> {
    return (await this.call('GET', `/v1/ships/${shipId}/logs`)).text();
  }

  in(shipId: string, session: string): Session {
    return new Session(this, shipId, session);
  }
}

/** A session in its ship. */
export class Session {
  constructor(
    readonly bay: Bay,
    readonly shipId: string,
    readonly id: string,
  ) {}

  /** Runs work to its end, or to the end of its time. */
  async run(work: Work, { timeoutMs = CALL_TIMEOUT_MS } = {}): Promise<Ran> {
    interface Answer {
      executionId?: string;
      ended?: { exited?: { code?: number }; cause?: string };
      stdout?: string;
      stderr?: string;
    }
    const body = { start: { ...work, timeoutMs }, maxOutputBytes: 3 * 1024 * 1024 };
    const path = `/v1/ships/${this.shipId}/executions:run`;
    const answer = await this.bay.json<Answer>('POST', path, {
      session: this.id,
      body,
      timeoutMs: timeoutMs + ANSWER_MS,
    });
    return {
      stdout: Buffer.from(answer.stdout ?? '', 'base64').toString(),
      stderr: Buffer.from(answer.stderr ?? '', 'base64').toString(),
      exitCode: answer.ended?.exited ? (answer.ended.exited.code ?? 0) : undefined,
      cause: answer.ended?.cause ?? '',
      executionId: answer.executionId ?? '',
    };
  }

  async cell(code: string, options: { timeoutMs?: number } = {}): Promise<string> {
    return (await this.run({ cell: { code } }, options)).stdout;
  }

  /** Starts work under a name, waits for the first line that it prints, and leaves it running. */
  async start(executionId: string, work: Work): Promise<string> {
    const path = `/v1/ships/${this.shipId}/executions`;
    const response = await this.bay.call('POST', path, { session: this.id, body: { executionId, ...work } });
    let text = '';
    for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(piece).toString();
      const said = text.split('\n').find((line) => line.includes('"stdout"'));
      if (said !== undefined) return said;
      if (text.includes('"ended"')) break;
    }
    throw new Error(`work that was to stay ended: ${text.slice(0, 1000)}`);
  }

  async isRunning(executionId: string): Promise<boolean> {
    const path = `/v1/ships/${this.shipId}/executions/${executionId}`;
    return (await this.bay.json<{ state: string }>('GET', path, { session: this.id })).state.endsWith('RUNNING');
  }

  async writeText(path: string, content: string): Promise<void> {
    await this.files('POST', ':write', {}, { path, content });
  }

  async readText(path: string): Promise<string> {
    const answer = await this.files('GET', ':text', { path });
    return ((await answer.json()) as { content?: string }).content ?? '';
  }

  /** A call of the file routes, as a caller would make it who knows them well and means no good. */
  files(
    method: string,
    verb: string,
    query: Record<string, string>,
    body?: object | Uint8Array,
    timeoutMs = CALL_TIMEOUT_MS,
  ): Promise<Response> {
    const question = Object.keys(query).length === 0 ? '' : `?${new URLSearchParams(query).toString()}`;
    const path = `/v1/ships/${this.shipId}/files${verb}${question}`;
    return this.bay.call(method, path, { session: this.id, timeoutMs, ...(body === undefined ? {} : { body }) });
  }
}

function errorOf(text: string): { reason?: string; message?: string } {
  try {
    return (JSON.parse(text) as { error?: { reason?: string; message?: string } }).error ?? {};
  } catch {
    return {}; // not from Bay's /v1
  }
}
