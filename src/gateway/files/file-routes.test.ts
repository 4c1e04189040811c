import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import {
  DownloadResponse,
  FileInfo,
  type FileServiceDefinition,
  type UploadRequest,
} from '../../../proto/gen/shipyard/execution/v1/file_service.js';
import type { Implementation } from '../../../proto/rpc/definition.js';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { startHttpServer, type HttpServer } from '../http-server.js';
import { HttpClient, type HttpAnswer } from '../testing/http-client.js';
import { AUTH, testGateway, type TestServices } from '../testing/test-gateway.js';

const HEADERS = { ...AUTH, 'x-session-id': 's1' };
const CONTENT = '/v1/ships/x/files/content';
const MAX_UPLOAD_BYTES = 1024 * 1024;

let server: HttpServer | undefined;
let http: HttpClient;
afterEach(async () => {
  http.close();
  await server?.stop({ drainMs: 0 });
});

async function serve(services: TestServices): Promise<void> {
  const { deps } = await testGateway(services, { maxUploadBytes: MAX_UPLOAD_BYTES });
  server = await startHttpServer(deps);
  http = new HttpClient(server.port);
}

const message = (answer: HttpAnswer) => answer.json<{ detail: string }>().detail;

type FileImplementation = Implementation<typeof FileServiceDefinition>;

/** A file as Ship serves it. */
function fileOf(
  content: Buffer,
  options: { pieceBytes?: number; announce?: number } = {},
): Pick<FileImplementation, 'getFileInfo' | 'download'> {
  const { pieceBytes = 256 * 1024, announce = content.length } = options;
  const modifyTime = new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 678));
  const info: FileInfo = { ...FileInfo.fromJSON({ name: 'f', isFile: true }), sizeBytes: announce, modifyTime };
  return {
    getFileInfo: async () => info,
    async *download({ offset, length }) {
      yield DownloadResponse.encode({ part: { $case: 'info', value: info } }).finish();
      const end = length > 0 ? Math.min(content.length, offset + length) : content.length;
      for (let start = offset; start < end; start += pieceBytes) {
        const data = content.subarray(start, Math.min(end, start + pieceBytes));
        yield DownloadResponse.encode({ part: { $case: 'data', value: data } }).finish();
      }
    },
  };
}

describe('a download', () => {
  const content = randomBytes(700_000);

  it('has every byte, a length and a name', async () => {
    await serve({ files: fileOf(content) });
    const answer = await http.send(`${CONTENT}?path=${encodeURIComponent('dir/naïve "файл".txt')}`, {
      headers: HEADERS,
    });
    expect(answer.status).toBe(200);
    expect(answer.body.equals(content)).toBe(true);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-length': '700000',
      'accept-ranges': 'bytes',
      'last-modified': 'Fri, 02 Jan 2026 03:04:05 GMT',
      'x-content-type-options': 'nosniff',
      'content-disposition':
        `attachment; filename="na_ve \\"____\\".txt"; ` +
        `filename*=UTF-8''na%C3%AFve%20%22%D1%84%D0%B0%D0%B9%D0%BB%22.txt`,
    });
  });

  it.each([
    ['bytes=0-0', 0, 0],
    ['bytes=100-299999', 100, 299_999],
    ['bytes=699999-', 699_999, 699_999],
    ['bytes=-5', 699_995, 699_999],
    ['bytes=-9999999', 0, 699_999],
    ['bytes=500000-9999999999999999', 500_000, 699_999],
  ])('gives the range %s', async (range, first, last) => {
    await serve({ files: fileOf(content) });
    const answer = await http.send(`${CONTENT}?path=f`, { headers: { ...HEADERS, range } });
    expect(answer.status).toBe(206);
    expect(answer.headers['content-range']).toBe(`bytes ${first}-${last}/700000`);
    expect(answer.body.equals(content.subarray(first, last + 1))).toBe(true);
  });

  it.each(['bytes=700000-', 'bytes=-0', 'bytes=9999999999999999-'])('answers 416 for %s', async (range) => {
    await serve({ files: fileOf(content) });
    const answer = await http.send(`${CONTENT}?path=f`, { headers: { ...HEADERS, range } });
    expect([answer.status, answer.headers['content-range']]).toEqual([416, 'bytes */700000']);
    expect(message(answer)).toBe('nothing of the range exists: the file has 700000 bytes');
  });

  it.each(['bytes=0-1,5-6', 'lines=1-2', 'bytes=5-2', 'bytes=-', 'nonsense'])('ignores %s', async (range) => {
    await serve({ files: fileOf(content) });
    expect((await http.send(`${CONTENT}?path=f`, { headers: { ...HEADERS, range } })).status).toBe(200);
  });

  it('gives the whole file where If-Range names another one', async () => {
    await serve({ files: fileOf(content) });
    const ask = (ifRange: string) =>
      http.send(`${CONTENT}?path=f`, { headers: { ...HEADERS, range: 'bytes=0-9', 'if-range': ifRange } });
    const { etag = '' } = (await http.send(`${CONTENT}?path=f`, { headers: HEADERS })).headers;
    expect((await ask(etag)).status).toBe(206);
    expect((await ask('"other"')).status).toBe(200);
    expect((await ask('Fri, 02 Jan 2026 03:04:05 GMT')).status).toBe(206);
    expect((await ask('Fri, 02 Jan 2026 03:04:06 GMT')).status).toBe(200);
  });

  it('of an empty file is empty', async () => {
    await serve({ files: fileOf(Buffer.alloc(0)) });
    const answer = await http.send(`${CONTENT}?path=f`, { headers: HEADERS });
    expect([answer.status, answer.headers['content-length'], answer.body.length]).toEqual([200, '0', 0]);
  });

  it('that cannot be whole is broken off, never short with a good end', async () => {
    await serve({ files: fileOf(content, { announce: content.length + 1 }) });
    const response = await http.open(`${CONTENT}?path=f`, { headers: HEADERS });
    const read = async () => {
      for await (const _ of response) continue;
    };
    await expect(read()).rejects.toThrow(/aborted/);
  });

  it('is refused with a status where the file cannot be had', async () => {
    const missing = new StatusError('FILE_NOT_FOUND', 'File not found: f');
    await serve({
      files: {
        async *download() {
          throw missing;
        },
      },
    });
    const answer = await http.send(`${CONTENT}?path=f`, { headers: HEADERS });
    expect([answer.status, message(answer)]).toEqual([404, 'File not found: f']);
  });

  it('ends when the client leaves', async () => {
    let ended: () => void = () => undefined;
    const gone = new Promise<void>((resolve) => (ended = resolve));
    const source = fileOf(randomBytes(64 * 1024 * 1024));
    await serve({
      files: {
        async *download(request, ctx) {
          try {
            yield* source.download(request, ctx);
          } finally {
            ended();
          }
        },
      },
    });
    const response = await http.open(`${CONTENT}?path=f`, { headers: HEADERS });
    await once(response, 'readable');
    response.destroy();
    await gone;
  });
});

describe('an upload', () => {
  interface Uploaded {
    header: unknown;
    bytes: Buffer;
    pieces: number[];
  }
  let uploaded: Promise<Uploaded>;

  beforeEach(async () => {
    let resolve: (upload: Uploaded) => void;
    let reject: (error: unknown) => void;
    uploaded = new Promise((...settle) => ([resolve, reject] = settle));
    uploaded.catch(() => undefined); // looked at where a test wants it
    await serve({
      files: {
        async upload(requests) {
          try {
            const upload = await collect(requests);
            resolve(upload);
            return { path: '/home/user/workspace/f', sizeBytes: upload.bytes.length };
          } catch (error) {
            reject(error);
            throw error;
          }
        },
      },
    });
  });

  async function collect(requests: AsyncIterable<UploadRequest>): Promise<Uploaded> {
    let header: unknown;
    const pieces: Buffer[] = [];
    for await (const { part } of requests) {
      if (part?.$case === 'header') header = part.value;
      else if (part) pieces.push(part.value);
    }
    return { header, bytes: Buffer.concat(pieces), pieces: pieces.map((piece) => piece.length) };
  }

  it('carries every byte, whatever its content type says, in pieces of 256 KiB', async () => {
    const content = randomBytes(700_000);
    const headers = { ...HEADERS, 'content-type': 'nonsense' };
    const answer = await http.send(`${CONTENT}?path=a%20b&mode=420`, { method: 'PUT', headers, body: content });
    expect([answer.status, answer.json()]).toEqual([200, { path: '/home/user/workspace/f', sizeBytes: 700_000 }]);
    const { header, bytes, pieces } = await uploaded;
    expect(header).toEqual({ shipId: 'x', sessionId: 's1', path: 'a b', mode: 420, sizeBytes: 700_000 });
    expect(sha(bytes)).toBe(sha(content));
    expect(Math.max(...pieces)).toBeLessThanOrEqual(256 * 1024);
    expect(pieces.length).toBeLessThanOrEqual(5);
  });

  it('of nothing makes an empty file', async () => {
    expect((await http.send(`${CONTENT}?path=f`, { method: 'PUT', headers: HEADERS })).status).toBe(200);
    expect((await uploaded).bytes).toHaveLength(0);
  });

  it('that says to be too large is refused before a byte is asked for', async () => {
    const sent = httpRequest({
      port: server?.port,
      method: 'PUT',
      path: `${CONTENT}?path=f`,
      headers: { ...HEADERS, 'content-length': MAX_UPLOAD_BYTES + 1, expect: '100-continue' },
    });
    let continued = false;
    sent.on('continue', () => (continued = true)).flushHeaders();
    const [response] = (await once(sent, 'response')) as [{ statusCode: number; headers: object }];
    expect([response.statusCode, continued]).toEqual([413, false]);
    expect(response.headers).toMatchObject({ connection: 'close' });
    sent.destroy();
  });

  it('that turns out too large is refused while it comes, and the client reads why', async () => {
    const socket = connect(server?.port ?? 0, '127.0.0.1');
    let answer = '';
    socket.on('data', (piece) => (answer += piece.toString()));
    socket.write(uploadHead({ 'transfer-encoding': 'chunked' }));
    const piece = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(64 * 1024), Buffer.from('\r\n')]);
    for (let index = 0; index < 256; index++) if (!socket.write(piece)) await once(socket, 'drain');
    socket.write('0\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1.1 413 /);
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toMatchObject({
      error: { reason: 'TOO_LARGE', details: { max_bytes: MAX_UPLOAD_BYTES } },
    });

    // The connection is as good as before.
    answer = '';
    socket.write(uploadHead({ 'content-length': '3' }) + 'abc');
    await once(socket, 'data');
    expect(answer).toMatch(/^HTTP\/1.1 200 /);
    socket.destroy();
    await expect(uploaded).rejects.toMatchObject({ reason: 'TOO_LARGE' });
  });

  it('of which the client leaves is never taken for whole', async () => {
    const socket = connect(server?.port ?? 0, '127.0.0.1');
    socket.write(`${uploadHead({ 'transfer-encoding': 'chunked' })}5\r\nhello\r\n`);
    setTimeout(() => socket.destroy(), 50);
    await expect(uploaded).rejects.toMatchObject({ reason: 'CANCELLED' });
  });

  it('is asked for where the client waits for that', async () => {
    const headers = { ...HEADERS, 'content-length': 5, expect: '100-continue' };
    const sent = httpRequest({ port: server?.port, method: 'PUT', path: `${CONTENT}?path=f`, headers });
    sent.on('continue', () => sent.end('hello')).flushHeaders();
    const [response] = (await once(sent, 'response')) as [{ statusCode: number; resume(): void }];
    response.resume();
    expect([response.statusCode, (await uploaded).bytes.toString()]).toEqual([200, 'hello']);
  });

  it.each([
    [`${CONTENT}?path=f&mode=x`, {}, 400, 'query parameter mode must be a whole number from 0 to 4294967295, not "x"'],
    [
      `${CONTENT}?path=f&colour=red`,
      {},
      400,
      'query parameter colour is unknown (allowed: shipId, sessionId, path, mode, sizeBytes)',
    ],
    [`${CONTENT}?path=f&sizeBytes=9`, {}, 400, 'query parameter sizeBytes differs from content-length 5'],
    [
      `${CONTENT}?path=f`,
      { 'content-range': 'bytes 0-4/9' },
      400,
      'header Content-Range is not taken: a file is written whole',
    ],
  ])('refuses %s %j', async (url, headers, status, text) => {
    const answer = await http.send(url, { method: 'PUT', headers: { ...HEADERS, ...headers }, body: 'hello' });
    expect([answer.status, message(answer)]).toEqual([status, text]);
  });

  it('needs a session and a token', async () => {
    expect(message(await http.send(CONTENT, { method: 'PUT', headers: AUTH, body: 'x' }))).toMatch(/X-SESSION-ID/);
    expect((await http.send(CONTENT, { method: 'PUT', body: 'x' })).status).toBe(403);
    expect((await http.send(CONTENT, { method: 'POST', headers: AUTH })).headers.allow).toBe('GET, PUT');
  });
});

function uploadHead(headers: Record<string, string>): string {
  const fields = Object.entries({ host: 'x', ...HEADERS, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `PUT ${CONTENT}?path=f HTTP/1.1\r\n${fields.join('')}\r\n`;
}

function sha(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
