import { WayError, withoutColours, type SessionWay, type Way } from './way.js';

interface Envelope<T> {
  success: boolean;
  data: T;
  error: string | null;
}

/** The routes of the original Shipyard: `/ship…`. */
export function documentedHttp(bay: { url: string; token: string }): Way {
  const call = async (
    method: string,
    path: string,
    session: string,
    init: { json?: unknown; form?: FormData } = {},
  ): Promise<Response> => {
    const headers: Record<string, string> = { authorization: `Bearer ${bay.token}`, 'x-session-id': session };
    if (init.json !== undefined) headers['content-type'] = 'application/json';
    const response = await fetch(bay.url + path, {
      method,
      headers,
      body: init.form ?? (init.json === undefined ? null : JSON.stringify(init.json)),
    });
    if (!response.ok) throw toError(response.status, await response.text());
    return response;
  };

  return {
    name: 'documented HTTP',
    abilities: new Set(['ships', 'cells', 'commands', 'text-files', 'file-streams']),
    async createShip(session, { ttlSeconds = 600, maxSessionNum = 1 } = {}) {
      const response = await call('POST', '/ship', session, {
        json: { ttl: ttlSeconds, max_session_num: maxSessionNum },
      });
      return ((await response.json()) as { id: string }).id;
    },
    async deleteShip(shipId) {
      await call('DELETE', `/ship/${shipId}`, '');
    },
    in: (shipId, session) => new DocumentedSession(shipId, (method, path, init) => call(method, path, session, init)),
    close: async () => {},
  };
}

class DocumentedSession implements SessionWay {
  constructor(
    private readonly shipId: string,
    private readonly call: (
      method: string,
      path: string,
      init?: { json?: unknown; form?: FormData },
    ) => Promise<Response>,
  ) {}

  private async exec<T>(type: string, payload: object): Promise<T> {
    const response = await this.call('POST', `/ship/${this.shipId}/exec`, { json: { type, payload } });
    return ((await response.json()) as Envelope<T>).data;
  }

  async runCell(code: string, { timeoutSeconds = 30, silent = false } = {}) {
    type Answer = {
      success: boolean;
      execution_count: number | null;
      output: { text: string; images: { 'image/png': string }[] };
      error: string | null;
    };
    const answer = await this.exec<Answer>('ipython/exec', { code, timeout: timeoutSeconds, silent });
    return {
      success: answer.success,
      text: answer.output.text,
      images: answer.output.images.map((image) => image['image/png']),
      error: withoutColours(answer.error ?? ''),
      executionCount: answer.execution_count,
    };
  }

  async runCommand(command: string, { timeoutSeconds = 30, cwd = null as string | null, env = {} } = {}) {
    const answer = await this.exec<{ return_code: number | null; stdout: string; stderr: string }>('shell/exec', {
      command,
      cwd,
      env,
      timeout: timeoutSeconds,
    });
    return { exitCode: answer.return_code, stdout: answer.stdout, stderr: answer.stderr };
  }

  async writeFile(path: string, content: string) {
    await this.exec('fs/write_file', { path, content });
  }
  async readFile(path: string) {
    return (await this.exec<{ content: string }>('fs/read_file', { path })).content;
  }
  async editFile(path: string, oldString: string, newString: string) {
    const answer = await this.exec<{ replacements: number }>('fs/edit_file', {
      path,
      old_string: oldString,
      new_string: newString,
    });
    return answer.replacements;
  }
  async deleteFile(path: string) {
    await this.exec('fs/delete_file', { path });
  }
  async listNames(path: string) {
    return (await this.exec<{ files: { name: string }[] }>('fs/list_dir', { path })).files.map((file) => file.name);
  }

  async upload(path: string, data: Uint8Array) {
    const form = new FormData();
    form.set('file', new Blob([new Uint8Array(data)]), 'upload');
    form.set('file_path', path);
    await this.call('POST', `/ship/${this.shipId}/upload`, { form });
  }
  async download(path: string) {
    const response = await this.call('GET', `/ship/${this.shipId}/download?file_path=${encodeURIComponent(path)}`);
    return new Uint8Array(await response.arrayBuffer());
  }
}

/** `Ship returned 404: {"detail": …}` quotes the ship's own status and text. */
function toError(status: number, body: string): WayError {
  const detail: unknown = (JSON.parse(body) as { detail: unknown }).detail;
  const text = typeof detail === 'string' ? detail : JSON.stringify(detail);
  const quoted = /^Ship returned (\d+): (.*)$/s.exec(text);
  if (!quoted) return new WayError(status, text);
  return new WayError(Number(quoted[1]), (JSON.parse(quoted[2] ?? '{}') as { detail: string }).detail);
}
