import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { DownloadResponse, UploadRequest } from '../../../proto/gen/shipyard/execution/v1/file_service.js';
import type { CallContext } from '../../../proto/rpc/definition.js';
import { StatusError } from '../../../proto/rpc/status-error.js';
import {
  availableSandboxes,
  runBash,
  startTestRunner,
  type TestRunner,
} from '../workspace/testing/start-test-runner.js';
import { createFileService } from './file-service.js';
import { createGiveWay } from './give-way.js';

const python = join(import.meta.dirname, '..', '..', 'python', 'tests');

it('file operations of the session runner pass their own tests', () => {
  const { status, stderr } = spawnSync('/usr/bin/python3', ['-B', '-m', 'unittest'], { cwd: python, encoding: 'utf8' });
  expect(status === 0 ? '' : stderr).toBe('');
}, 60_000);

function context(signal = new AbortController().signal): CallContext {
  return { method: 'test', signal, cancellation: signal, metadata: {}, peer: 'test' };
}

describe.each(availableSandboxes())('FileService in %s', (kind) => {
  let test: TestRunner;
  let files: ReturnType<typeof createFileService>;
  const of = { shipId: 'ship-1', sessionId: 'session-1' };

  beforeAll(async () => {
    test = await startTestRunner(kind);
    files = createFileService(test.sessions);
  });
  afterAll(() => test[Symbol.asyncDispose]());

  async function* requests(path: string, chunks: Iterable<Buffer>, header: { mode?: number; sizeBytes?: number } = {}) {
    yield UploadRequest.fromPartial({ part: { $case: 'header', value: { ...of, path, ...header } } });
    for (const data of chunks) {
      await new Promise((resolve) => setImmediate(resolve));
      yield UploadRequest.fromPartial({ part: { $case: 'data', value: data } });
    }
  }

  it('rests between the pieces of a file while somebody converses with the ship', async () => {
    let quietMs = 0;
    const giveWay = createGiveWay(() => quietMs);
    const rests: boolean[] = [];
    const polite = createFileService(test.sessions, () => {
      const rest = giveWay();
      rests.push(rest !== undefined);
      return rest;
    });
    await polite.upload(requests('polite.bin', [Buffer.alloc(1 << 20)]), context());
    expect(rests).toEqual([true]);
    quietMs = 60_000;
    for await (const _piece of polite.download({ ...of, path: 'polite.bin', offset: 0, length: 0 }, context()));
    expect(rests.length).toBeGreaterThan(3);
    expect(rests.slice(1)).not.toContain(true);
  });

  it('reads, writes, edits, lists, moves and deletes', async () => {
    const ctx = context();
    const path = `${test.runner.workspace}/d/f.txt`;
    expect(
      await files.writeText(
        { ...of, path: 'd/f.txt', content: 'a\r\nb\r\n', encoding: '', append: false, mode: 0o640 },
        ctx,
      ),
    ).toEqual({ path, sizeBytes: 6 });
    expect(
      await files.editText({ ...of, path, oldString: 'b', newString: 'c', replaceAll: false, encoding: '' }, ctx),
    ).toEqual({ path, replacements: 1, sizeBytes: 6 });
    expect(await files.readText({ ...of, path: 'd/f.txt', encoding: '', offset: 2, limit: 1 }, ctx)).toEqual({
      content: 'c\r\n',
      path,
      sizeBytes: 6,
    });
    const info = {
      name: 'f.txt',
      path,
      isFile: true,
      isDirectory: false,
      sizeBytes: 6,
      modifyTime: expect.any(Date) as Date,
      mode: 0o640,
      linkTarget: '',
    };
    expect(await files.listDirectory({ ...of, path: 'd', showHidden: false }, ctx)).toEqual({
      files: [info],
      path: `${test.runner.workspace}/d`,
      truncated: false,
    });
    expect(await files.getFileInfo({ ...of, path: 'd/f.txt' }, ctx)).toEqual(info);
    expect(await files.makeDirectory({ ...of, path: 'e' }, ctx)).toMatchObject({ isDirectory: true });
    expect(await files.moveFile({ ...of, path: 'd/f.txt', newPath: 'e/g.txt' }, ctx)).toMatchObject({ name: 'g.txt' });
    expect(await files.deleteFile({ ...of, path: 'e' }, ctx)).toEqual({ wasDirectory: true });
    await expect(
      files.readText({ ...of, path: 'gone', encoding: '', offset: undefined, limit: undefined }, ctx),
    ).rejects.toMatchObject({
      reason: 'FILE_NOT_FOUND',
      message: 'File not found: gone',
    });
  });

  it('carries large texts', async () => {
    const content = 'ü'.repeat(8 * 1024 * 1024);
    await files.writeText({ ...of, path: 'large', content, encoding: '', append: false, mode: undefined }, context());
    const read = await files.readText(
      { ...of, path: 'large', encoding: '', offset: undefined, limit: undefined },
      context(),
    );
    expect(read.content === content).toBe(true);
  });

  it('uploads and downloads 20 MB byte for byte', async () => {
    const chunk = Buffer.alloc(262_144, 'abcdefg');
    const chunks = Array.from({ length: 80 }, () => chunk);
    const sizeBytes = 80 * chunk.length;
    expect(await files.upload(requests('up/x.bin', chunks, { sizeBytes, mode: 0o600 }), context())).toEqual({
      path: `${test.runner.workspace}/up/x.bin`,
      sizeBytes,
    });
    const parts: Buffer[] = [];
    for await (const message of files.download({ ...of, path: 'up/x.bin', offset: 0, length: 0 }, context())) {
      expect(message.length).toBeLessThanOrEqual(262_144 + 16);
      const { part } = DownloadResponse.decode(message);
      if (part?.$case === 'data') parts.push(part.value);
      else expect(part?.value).toMatchObject({ name: 'x.bin', sizeBytes, isFile: true });
    }
    expect(Buffer.concat(parts).equals(Buffer.concat(chunks))).toBe(true);
    expect((await runBash(test.runner, 'stat -c %s up/x.bin')).stdout).toBe(`${sizeBytes}\n`);
  });

  it('downloads empty files and ranges', async () => {
    await files.upload(requests('empty', []), context());
    const read = async (path: string, offset: number, length: number): Promise<string> => {
      let text = '';
      for await (const message of files.download({ ...of, path, offset, length }, context())) {
        const { part } = DownloadResponse.decode(message);
        if (part?.$case === 'data') text += part.value.toString();
      }
      return text;
    };
    expect(await read('empty', 0, 0)).toBe('');
    await files.upload(requests('ten', [Buffer.from('0123456789')]), context());
    expect([await read('ten', 3, 4), await read('ten', 8, 100), await read('ten', 20, 0)]).toEqual(['3456', '89', '']);
    await expect(read('ten', -1, 0)).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
    await expect(read('none', 0, 0)).rejects.toMatchObject({ reason: 'FILE_NOT_FOUND' });
    await expect(read('.', 0, 0)).rejects.toMatchObject({ reason: 'PATH_WRONG_KIND' });
  });

  it('leaves nothing of an upload that breaks off, is cancelled or has another size', async () => {
    await files.makeDirectory({ ...of, path: 'broken' }, context());
    const chunk = Buffer.alloc(1_000_000);
    async function* failing() {
      yield* requests('broken/a', [chunk, chunk, chunk]);
      throw new StatusError('CANCELLED', 'the caller left');
    }
    await expect(files.upload(failing(), context())).rejects.toMatchObject({ reason: 'CANCELLED' });
    const controller = new AbortController();
    async function* aborting() {
      yield* requests('broken/b', [chunk]);
      controller.abort(new StatusError('CANCELLED', 'the caller left'));
    }
    await expect(files.upload(aborting(), context(controller.signal))).rejects.toMatchObject({ reason: 'CANCELLED' });
    for (const sizeBytes of [1, 5_000_000]) {
      await expect(files.upload(requests('broken/c', [chunk, chunk], { sizeBytes }), context())).rejects.toMatchObject({
        reason: 'INVALID_ARGUMENT',
        message: expect.stringContaining(`but ${sizeBytes} were announced`) as string,
      });
    }
    await expect(files.upload(requests('../out', [chunk]), context())).rejects.toMatchObject({
      reason: 'PATH_OUTSIDE_WORKSPACE',
    });
    async function* headless() {
      yield UploadRequest.fromPartial({ part: { $case: 'data', value: chunk } });
    }
    await expect(files.upload(headless(), context())).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
    await expect(files.upload((async function* () {})(), context())).rejects.toMatchObject({
      reason: 'INVALID_ARGUMENT',
    });
    expect((await runBash(test.runner, 'ls -A broken')).stdout).toBe('');
  });

  it('stops reading when the caller leaves', async () => {
    const controller = new AbortController();
    const seen = (async () => {
      for await (const _message of files.download(
        { ...of, path: 'up/x.bin', offset: 0, length: 0 },
        context(controller.signal),
      )) {
        controller.abort(new StatusError('CANCELLED', 'the caller left'));
      }
    })();
    await expect(seen).rejects.toMatchObject({ reason: 'CANCELLED' });
  });
});
