import { Agent, request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  json<T = unknown>(): T;
}

export interface HttpRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string | Uint8Array;
}

/** A client that sends what it is told, also what fetch would refuse: bodies with GET, any header, any path. */
export class HttpClient {
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(port: number) {
    this.#port = port;
  }

  async send(path: string, options: HttpRequest = {}): Promise<HttpAnswer> {
    const response = await this.open(path, options);
    const pieces: Buffer[] = [];
    for await (const piece of response) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces);
    const text = body.toString('utf8');
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      body,
      text,
      json: <T>() => JSON.parse(text) as T,
    };
  }

  /** The answer as soon as its head is there; the caller reads or destroys it. */
  open(path: string, { method = 'GET', headers = {}, body }: HttpRequest = {}): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const chunked = 'transfer-encoding' in headers;
      const length: Record<string, string> =
        body === undefined || chunked ? {} : { 'content-length': String(Buffer.byteLength(body)) };
      const options = { host: '127.0.0.1', port: this.#port, method, path, headers: { ...length, ...headers } };
      const sent = request({ ...options, agent: this.#agent }, resolve);
      sent.on('error', reject);
      // As bytes: with text Node would encode the head, which it sends along, in the text's encoding.
      sent.end(body === undefined ? undefined : typeof body === 'string' ? Buffer.from(body) : body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
