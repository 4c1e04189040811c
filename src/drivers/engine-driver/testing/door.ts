import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Transform } from 'node:stream';

type Judge = (line: string) => boolean | Promise<boolean>;

const REFUSAL =
  'HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\ncontent-length: 22\r\nconnection: close\r\n\r\n{"message":"not here"}';

/** Another socket of an engine, which can be shut: so the engine is away for one driver alone. */
export class Door implements AsyncDisposable {
  readonly #engine: string;
  readonly #passes: Judge;
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'sd-'));
  readonly #socket = path.join(this.#folder, 'engine.sock');
  readonly #open = new Set<Socket>();
  #server: Server | undefined;

  private constructor(engine: string, passes: Judge) {
    this.#engine = engine;
    this.#passes = passes;
  }

  /**
   * @param host of an engine on a socket, as DOCKER_HOST takes it
   * @param passes which requests do, by their first line; others are answered with 403 here
   */
  static async to(host: string, passes: Judge = () => true): Promise<Door> {
    const door = new Door(host.slice('unix://'.length), passes);
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
        from.on('error', () => to.destroy()).on('close', () => this.#open.delete(from));
      }
      caller.pipe(this.#judge(caller)).pipe(engine);
      engine.pipe(caller);
    });
    await once(this.#server.listen(this.#socket), 'listening');
  }

  #judge(caller: Socket): Transform {
    return new Transform({
      transform: (chunk: Buffer, _encoding, pass) => {
        const [line = ''] = chunk.toString('latin1').split('\r\n', 1);
        Promise.resolve(this.#passes(line)).then((may) => (may ? pass(null, chunk) : caller.end(REFUSAL)), pass);
      },
    });
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
