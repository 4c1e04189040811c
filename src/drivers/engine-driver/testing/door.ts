import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Another socket of an engine, which can be shut: so the engine is away for one driver alone. */
export class Door implements AsyncDisposable {
  readonly #engine: string;
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'sd-'));
  readonly #socket = path.join(this.#folder, 'engine.sock');
  readonly #open = new Set<Socket>();
  #server: Server | undefined;

  private constructor(engine: string) {
    this.#engine = engine;
  }

  /** @param host of an engine on a socket, as DOCKER_HOST takes it */
  static async to(host: string): Promise<Door> {
    const door = new Door(host.slice('unix://'.length));
    await door.open();
    return door;
  }

  get host(): string {
    return `unix://${this.#socket}`;
  }

  async open(): Promise<void> {
    this.#server = createServer({ allowHalfOpen: true }, (caller) => {
      const engine = connect({ path: this.#engine, allowHalfOpen: true });
      for (const [from, to] of [
        [caller, engine],
        [engine, caller],
      ] as const) {
        this.#open.add(from);
        from.pipe(to);
        from.on('error', () => to.destroy()).on('close', () => this.#open.delete(from));
      }
    });
    await once(this.#server.listen(this.#socket), 'listening');
  }

  async shut(): Promise<void> {
    const closed = new Promise((resolve) => (this.#server?.listening ? this.#server.close(resolve) : resolve(null)));
    for (const socket of this.#open) socket.destroy();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shut();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
