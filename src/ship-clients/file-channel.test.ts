import { FileServiceDefinition } from '../../proto/gen/shipyard/execution/v1/file_service.js';
import { createClient } from '../../proto/rpc/client.js';
import { StatusError } from '../../proto/rpc/status-error.js';
import { FileChannel, type Connection } from './file-channel.js';

const TARGET = { shipId: 's', sessionId: 't', path: 'p' };

/** A connection that answers with its number. */
class TestConnection implements Connection {
  isOpen = true;

  constructor(private readonly number: number) {}

  unary(): Promise<unknown> {
    if (!this.isOpen) return Promise.reject(new StatusError('SHUTTING_DOWN', 'the connection was closed'));
    return Promise.resolve({ path: `over ${this.number}`, sizeBytes: 0 });
  }

  async *stream(): AsyncGenerator<unknown> {
    yield Buffer.of(this.number);
  }

  close(): void {
    this.isOpen = false;
  }
}

describe('FileChannel', () => {
  let dialled: TestConnection[];
  let refusals: number;
  let channel: FileChannel;
  beforeEach(() => {
    [dialled, refusals] = [[], 0];
    channel = new FileChannel(async () => {
      if (refusals-- > 0) throw new StatusError('SHIP_UNREACHABLE', 'nobody answers');
      return dialled[dialled.push(new TestConnection(dialled.length + 1)) - 1] as TestConnection;
    });
  });

  const files = () => createClient(FileServiceDefinition, channel);
  const upload = async () => (await files().upload((async function* () {})())).path;
  const download = async () => {
    for await (const bytes of files().download({ ...TARGET, offset: 0, length: 0 })) return bytes[0];
    return undefined;
  };

  it('dials when it is used, once for all calls', async () => {
    expect(dialled).toHaveLength(0);
    expect(await Promise.all([upload(), upload(), download()])).toEqual(['over 1', 'over 1', 1]);
  });

  it('dials again where the connection broke, and where nobody had answered', async () => {
    await upload();
    dialled[0]?.close();
    expect(await Promise.all([upload(), download()])).toEqual(['over 2', 2]);
    dialled[1]?.close();
    refusals = 1;
    await expect(upload()).rejects.toMatchObject({ reason: 'SHIP_UNREACHABLE' });
    expect(await upload()).toBe('over 3');
  });

  it('lets go of a caller who leaves while it dials', async () => {
    const silent = new FileChannel(() => new Promise(() => undefined));
    const leaving = new AbortController();
    const upload = createClient(FileServiceDefinition, silent).upload((async function* () {})(), {
      signal: leaving.signal,
    });
    leaving.abort(new StatusError('CANCELLED', 'the caller left'));
    await expect(upload).rejects.toMatchObject({ reason: 'CANCELLED' });
  });

  it('leaves no connection behind when it is closed, also one that was being dialled', async () => {
    const late = upload();
    channel.close();
    await expect(late).rejects.toMatchObject({ reason: 'SHUTTING_DOWN' });
    expect(dialled.map(({ isOpen }) => isOpen)).toEqual([false]);
  });
});
