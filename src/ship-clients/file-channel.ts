/**
 * A connection of its own for streams of files, so that they never hold up small calls. Dialled when it is used, and again
 * when it broke.
 */
import type { Transport } from '../../proto/rpc/client.js';
import type { CallOptions } from '../../proto/rpc/definition.js';
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
    return (await this.#open()).unary(method, request, options);
  }

  async *stream(method: Method, request: unknown, options?: CallOptions): AsyncGenerator<unknown, void, undefined> {
    yield* (await this.#open()).stream(method, request, options);
  }

  /** Calls in progress fail. */
  close(): void {
    this.#isClosed = true;
    void this.#connection?.then(
      (connection) => connection.close(),
      () => undefined,
    );
  }

  async #open(): Promise<Connection> {
    const dialling = (this.#connection ??= this.#dial());
    try {
      const connection = await dialling;
      if (this.#isClosed) connection.close(); // its calls say so
      if (connection.isOpen || this.#isClosed) return connection;
    } catch (error) {
      this.#forget(dialling);
      throw error;
    }
    this.#forget(dialling);
    return this.#open();
  }

  #forget(dialling: Promise<Connection>): void {
    if (this.#connection === dialling) this.#connection = undefined;
  }
}
