import type { Engine } from './engine.js';

export interface EngineCall {
  readonly method: 'GET' | 'POST';
  /** Without a query. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean>>;
  /** Sent as JSON. */
  readonly body?: object;
  readonly signal: AbortSignal;
  /** json: the parsed answer. stream: the answer as it comes. hijack: the connection itself, for both directions. */
  readonly answer: 'json' | 'stream' | 'hijack';
}

/**
 * A call by dockerode's modem, for what its classes cannot do: take a signal, stream an answer, or leave a body out.
 *
 * @throws the modem's error, which has the engine's statusCode
 */
export function callEngine<T>({ docker }: Pick<Engine, 'docker'>, call: EngineCall): Promise<T> {
  const { method, path, query = {}, body, signal, answer } = call;
  const request = {
    path: `${path}?`,
    method,
    abortSignal: signal,
    isStream: answer !== 'json',
    hijack: answer === 'hijack',
    options: { _query: query, _body: body ?? {} },
    // A hijacked connection's first bytes are the container's: dockerode's own options must not be among them.
    ...(answer === 'hijack' ? { file: Buffer.alloc(0) } : {}),
    statusCodes: { 200: true, 201: true, 204: true },
  };
  const modem = docker.modem as { dial(request: object, done: (error: Error | null, answer: T) => void): void };
  return new Promise((resolve, reject) => {
    modem.dial(request, (error, result) => (error ? reject(error) : resolve(result)));
  });
}
