/**
 * A connection of its own for streams of files, so that they never hold up small calls. Dialled when it is used, and again
 * when it broke.
 */
import type { Cancellation } from '../../proto/rpc/cancellation.js';
import type { Transport } from '../../proto/rpc/client.js';
import type { CallOptions } from '../../proto/rpc/definition.js';
import { orAborted } from '../../proto/rpc/or-aborted.js';
import type { Method } from '../../proto/rpc/service.js';

/** A transport that may have ended. */
export interface Connection extends Transport {
  readonly isOpen: boolean;
  close(): void;
}

export class FileChannel implements Transport {
  readonly #dial: () => Promise<Connection>;
  #connection: Promise<Connection> | undefined;
  #isClosed = false;

  /** @param dial bounded in time, and rejects where the ship does not answer */
  constructor(dial: () => Promise<Connection>) {
    this.#dial = dial;
  }

  async unary(method: Method, request: unknown, options?: CallOptions): Promise<unknown> {
    return (await this.#open(options?.signal)).unary(method, request, options);
  }

  async *stream(method: Method, request: unknown, options?: CallOptions): AsyncGenerator<unknown, void, undefined> {
    yield* (await this.#open(options?.signal)).stream(method, request, options);
  }

  /** Calls in progress fail. */
  close(): void {
    this.#isClosed = true;
    void this.#connection?.then(
      (connection) => connection.close(),
      () => undefined,
    );
  }

  /** The connection that is there, or a new one; one that ends as soon as it is dialled says so to the call. */
  async #open(signal: Cancellation | undefined): Promise<Connection> {
    const known = this.#connection;
    if (known && (await this.#dialled(known, signal)).isOpen) return known;
    if (known) this.#forget(known);
    return this.#dialled((this.#connection ??= this.#dial()), signal);
  }

  async #dialled(dialling: Promise<Connection>, signal: Cancellation | undefined): Promise<Connection> {
    dialling.catch(() => this.#forget(dialling));
    const connection = await (signal ? orAborted(dialling, signal) : dialling);
    if (this.#isClosed) connection.close(); // its calls say so
    return connection;
  }

  #forget(dialling: Promise<Connection>): void {
    if (this.#connection === dialling) this.#connection = undefined;
  }
}
