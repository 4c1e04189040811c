import { ExecutionEvent } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import { foldLog, toCellOutcome, toCommandOutcome } from './fold.js';
import { WayError, type SessionWay, type Way } from './way.js';

/** The routes made from the protos: `/v1/…`, with streams as NDJSON. */
export function v1Http(bay: { url: string; token: string }): Way {
  const call: V1Call = async (method, path, session, body) => {
    const raw = body instanceof Uint8Array;
    const headers: Record<string, string> = { authorization: `Bearer ${bay.token}`, 'x-session-id': session };
    if (body !== undefined) headers['content-type'] = raw ? 'application/octet-stream' : 'application/json';
    const response = await fetch(bay.url + path, {
      method,
      headers,
      body: raw ? new Uint8Array(body) : body === undefined ? null : JSON.stringify(body),
    });
    if (!response.ok) {
      const { error } = (await response.json()) as { error: { status: number; message: string } };
      throw new WayError(error.status, error.message);
    }
    return response;
  };

  return {
    name: 'HTTP /v1',
    abilities: new Set(['ships', 'cells', 'commands', 'text-files', 'file-streams', 'executions']),
    async createShip(session, { ttlSeconds = 600, maxSessionNum = 1 } = {}) {
      const response = await call('POST', '/v1/ships', session, { ttlSeconds, maxSessionNum });
      return ((await response.json()) as { shipId: string }).shipId;
    },
    async deleteShip(shipId) {
      await call('DELETE', `/v1/ships/${shipId}`, '');
    },
    in: (shipId, session) => new V1Session(`/v1/ships/${shipId}`, session, call),
    close: async () => {},
  };
}

type V1Call = (method: string, path: string, session: string, body?: object) => Promise<Response>;

class V1Session implements SessionWay {
  constructor(
    private readonly base: string,
    private readonly session: string,
    private readonly call: V1Call,
  ) {}

  private async json<T>(method: string, path: string, body?: object): Promise<T> {
    return (await (await this.call(method, this.base + path, this.session, body)).json()) as T;
  }

  private async start(request: object) {
    const response = await this.call('POST', `${this.base}/executions`, this.session, request);
    return foldLog(eventsOf(response));
  }

  async runCell(code: string, { timeoutSeconds = 30, silent = false } = {}) {
    return toCellOutcome(await this.start({ cell: { code, silent }, timeoutMs: timeoutSeconds * 1000 }));
  }
  async runCommand(command: string, { timeoutSeconds = 30, cwd = '', env = {} } = {}) {
    return toCommandOutcome(await this.start({ command: { command, cwd, env }, timeoutMs: timeoutSeconds * 1000 }));
  }

  async writeFile(path: string, content: string) {
    await this.json('POST', '/files:write', { path, content });
  }
  async readFile(path: string) {
    return (await this.json<{ content?: string }>('GET', `/files:text?path=${encodeURIComponent(path)}`)).content ?? '';
  }
  async editFile(path: string, oldString: string, newString: string) {
    return (await this.json<{ replacements: number }>('POST', '/files:edit', { path, oldString, newString }))
      .replacements;
  }
  async deleteFile(path: string) {
    await this.json('DELETE', `/files?path=${encodeURIComponent(path)}`);
  }
  async listNames(path: string) {
    const { files = [] } = await this.json<{ files?: { name: string }[] }>(
      'GET',
      `/files?path=${encodeURIComponent(path)}`,
    );
    return files.map((file) => file.name);
  }

  async upload(path: string, data: Uint8Array) {
    await this.call('PUT', `${this.base}/files/content?path=${encodeURIComponent(path)}`, this.session, data);
  }
  async download(path: string) {
    const response = await this.call(
      'GET',
      `${this.base}/files/content?path=${encodeURIComponent(path)}`,
      this.session,
    );
    return new Uint8Array(await response.arrayBuffer());
  }
}

/** The events of an NDJSON body; a last line `{"error": …}` is thrown. */
export async function* eventsOf(response: Response): AsyncGenerator<ExecutionEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines.filter(Boolean)) {
      const json = JSON.parse(line) as { error?: { status?: number; message?: string }; sequence?: number };
      if (json.sequence === undefined) throw new WayError(json.error?.status ?? 0, json.error?.message ?? line);
      yield ExecutionEvent.fromJSON(json);
    }
  }
}
