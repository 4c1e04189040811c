import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StatusError } from '../../../../proto/rpc/status-error.js';
import type { Reason } from '../../../../proto/rpc/reasons.js';
import { AUTH, startApi, type Answer, type TestApi } from '../testing/start-api.js';
import { SESSION, SHIP_ID, WORKSPACE } from '../testing/fake-shipyard.js';

const MAX = 1_000_000;
let api: TestApi;
let spoolDir: string;

beforeEach(async () => {
  spoolDir = await mkdtemp(join(tmpdir(), 'shipyard-spool-'));
  api = await startApi({ maxUploadBytes: MAX, spoolDir });
});
afterEach(async () => {
  await api.close();
  // A request whose client left may be a moment behind its connection.
  while ((await readdir(spoolDir)).length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await rm(spoolDir, { recursive: true });
});

const UPLOAD = `/ship/${SHIP_ID}/upload`;
const SESSION_HEADERS = { ...AUTH, 'x-session-id': SESSION };

interface Part {
  readonly name: string;
  readonly file?: string;
  readonly content: string | Buffer;
}

function form(parts: readonly Part[]): Buffer {
  const chunks = parts.flatMap(({ name, file, content }) => [
    `--B\r\nContent-Disposition: form-data; name="${name}"${file === undefined ? '' : `; filename="${file}"`}\r\n` +
      `${file === undefined ? '' : 'Content-Type: application/octet-stream\r\n'}\r\n`,
    content,
    '\r\n',
  ]);
  return Buffer.concat([...chunks, '--B--\r\n'].map((chunk) => Buffer.from(chunk as string)));
}

const path = (content: string): Part => ({ name: 'file_path', content });
const file = (content: string | Buffer): Part => ({ name: 'file', file: 'upload', content });

function post(body: string | Buffer, headers: Record<string, string> = {}): Promise<Answer> {
  const contentType = { 'content-type': 'multipart/form-data; boundary=B' };
  return api.request('POST', UPLOAD, { headers: { ...SESSION_HEADERS, ...contentType, ...headers }, body });
}

const stored = (name: string) => api.shipyard.contents.get(`${WORKSPACE}/${name}`);

describe('upload', () => {
  it.each(['the file first', 'the path first'])('takes %s', async (order) => {
    const parts = [file('hello\r\n--B\r\n?'), path('sub/中文 "x".txt')];
    const answer = await post(form(order === 'the file first' ? parts : parts.reverse()));
    expect([answer.status, answer.text]).toEqual([
      200,
      `{"success":true,"message":"File uploaded successfully","file_path":"${WORKSPACE}/sub/中文 \\"x\\".txt","error":null}`,
    ]);
  });

  it.each([0, 1, 65_536, 262_144, 262_145, MAX])('takes %d bytes in either order', async (size) => {
    const content = randomBytes(size);
    expect(await post(form([file(content), path('late')]))).toMatchObject({ status: 200 });
    expect(await post(form([path('early'), file(content)]))).toMatchObject({ status: 200 });
    expect([stored('late')?.equals(content), stored('early')?.equals(content)]).toEqual([true, true]);
  });

  it('streams while it comes in, where the path came first', async () => {
    const socket = connect(api.port, '127.0.0.1');
    const body = form([path('discard'), file(randomBytes(MAX))]);
    socket.write(
      `POST ${UPLOAD} HTTP/1.1\r\nHost: x\r\nAuthorization: ${AUTH.authorization}\r\nX-SESSION-ID: ${SESSION}\r\n` +
        `Content-Type: multipart/form-data; boundary=B\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    socket.write(body.subarray(0, 500_000));
    while (api.shipyard.uploadedBytes < 250_000) await new Promise((resolve) => setTimeout(resolve, 5));
    socket.end(body.subarray(500_000));
    const [answer] = (await new Promise<Buffer>((resolve) => socket.once('data', resolve))).toString().split('\r\n');
    expect(answer).toBe('HTTP/1.1 200 OK');
  });

  it.each(['the file first', 'the path first'])('leaves no file where the client leaves, %s', async (order) => {
    const socket = connect(api.port, '127.0.0.1');
    const parts = [file(randomBytes(900_000)), path('half')];
    const body = form(order === 'the file first' ? parts : parts.reverse());
    socket.write(
      `POST ${UPLOAD} HTTP/1.1\r\nHost: x\r\nAuthorization: ${AUTH.authorization}\r\nX-SESSION-ID: ${SESSION}\r\n` +
        `Content-Type: multipart/form-data; boundary=B\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    await new Promise((resolve) => socket.write(body.subarray(0, 800_000), resolve));
    socket.destroy();
    expect(await post(form([path('next'), file('x')]))).toMatchObject({ status: 200 });
    expect(stored('half')).toBeUndefined();
  });

  it.each(['the file first', 'the path first'])(
    'refuses a file that is too large and says its size, %s',
    async (order) => {
      const parts = [file(Buffer.alloc(MAX + 500_000)), path('big')];
      const answer = await post(form(order === 'the file first' ? parts : parts.reverse()));
      const detail = `File size (${MAX + 500_000} bytes) exceeds maximum allowed size (${MAX} bytes)`;
      expect([answer.status, answer.json]).toEqual([413, { detail }]);
      expect(stored('big')).toBeUndefined();
    },
  );

  const missing = (field: string) => ({ type: 'missing', loc: ['body', field], msg: 'Field required', input: null });

  it.each([
    ['no file', [path('p')], [missing('file')]],
    ['no path', [file('x')], [missing('file_path')]],
    ['an empty path', [file('x'), path('')], [missing('file_path')]],
    ['nothing', [], [missing('file'), missing('file_path')]],
    [
      'text for the file',
      [{ name: 'file', content: 'txt' }, path('p')],
      [
        {
          type: 'value_error',
          loc: ['body', 'file'],
          msg: "Value error, Expected UploadFile, received: <class 'str'>",
          input: 'txt',
          ctx: { error: {} },
        },
      ],
    ],
    [
      'a file for the path',
      [file('x'), { name: 'file_path', file: 'f', content: 'p' }],
      [{ type: 'string_type', loc: ['body', 'file_path'], msg: 'Input should be a valid string', input: null }],
    ],
  ])('refuses %s', async (_name, parts, detail) => {
    const answer = await post(form(parts));
    expect([answer.status, answer.json]).toEqual([422, { detail }]);
  });

  it('refuses two files, and writes neither', async () => {
    const answer = await post(form([path('p'), file('one'), file('two')]));
    expect(answer).toMatchObject({ status: 422, json: { detail: [{ loc: ['body', 'file'] }] } });
    expect(stored('p')).toBeUndefined();
  });

  it('names the missing session with what the form lacks', async () => {
    const answer = await api.request('POST', UPLOAD, {
      headers: { ...AUTH, 'content-type': 'multipart/form-data; boundary=B' },
      body: form([file('x')]),
    });
    const header = { type: 'missing', loc: ['header', 'X-SESSION-ID'], msg: 'Field required', input: null };
    expect([answer.status, answer.json]).toEqual([422, { detail: [header, missing('file_path')] }]);
  });

  it.each([
    ['application/json', '{}', 422, undefined],
    ['application/x-www-form-urlencoded', 'file=a&file_path=b', 422, undefined],
    ['multipart/form-data; boundary=B', '', 422, undefined],
    ['multipart/form-data; boundary=";"', 'xx', 400, undefined],
    [`multipart/form-data; boundary=${'b'.repeat(5000)}`, 'xx', 400, undefined],
    ['multipart/form-data', 'xx', 400, '{"detail":"Missing boundary in multipart."}'],
    ['multipart/form-data; boundary=B', 'xx', 400, '{"detail":"There was an error parsing the body"}'],
    ['multipart/form-data; boundary=B', '--B\r\nContent-Disp', 400, '{"detail":"There was an error parsing the body"}'],
  ])('answers a body of %s: %j', async (contentType, body, status, text) => {
    const answer = await post(body, { 'content-type': contentType });
    expect([answer.status, text ?? answer.text]).toEqual([status, answer.text]);
  });

  it.each(['the file first', 'the path first'])('leaves no file where the form breaks off, %s', async (order) => {
    const parts = [file(randomBytes(300_000)), path('broken')];
    const body = form(order === 'the file first' ? parts : parts.reverse());
    const answer = await post(body.subarray(0, body.length - 10));
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    expect(stored('broken')).toBeUndefined();
  });

  it('refuses a path of more than a mebibyte', async () => {
    const answer = await post(form([path('x'.repeat(1024 * 1024 + 1)), file('x')]));
    expect([answer.status, answer.text]).toEqual([400, '{"detail":"Part exceeded maximum size of 1024KB."}']);
  });

  it('asks for the token before it reads the form', async () => {
    const answer = await post(form([path('p'), file('x')]), { authorization: 'Bearer wrong' });
    expect(answer).toMatchObject({ status: 401, text: '{"detail":"Invalid access token"}' });
  });

  it.each<[Reason, number, string]>([
    ['SHIP_NOT_FOUND', 404, 'Ship not found or not running'],
    ['SHIP_NOT_RUNNING', 404, 'Ship not found or not running'],
    ['SESSION_NOT_BOUND', 403, 'Session does not have access to this ship'],
    ['PATH_OUTSIDE_WORKSPACE', 403, 'Ship returned 403: {"detail":"a size not found, no access"}'],
    ['PATH_WRONG_KIND', 400, 'Ship returned 400: {"detail":"a size not found, no access"}'],
    ['FILE_OPERATION_FAILED', 400, 'Ship returned 500: {"detail":"File upload failed: a size not found, no access"}'],
    ['SHIP_UNREACHABLE', 400, 'Connection error: a size not found, no access'],
    ['DEADLINE_EXCEEDED', 400, 'File upload timeout'],
    ['INTERNAL', 500, 'File upload failed: a size not found, no access'],
  ])('answers %s by its reason with %d', async (reason, status, detail) => {
    api.shipyard.failures.set('upload', new StatusError(reason, 'a size not found, no access'));
    for (const parts of [
      [file(randomBytes(400_000)), path('p')],
      [path('p'), file(randomBytes(400_000))],
    ]) {
      const answer = await post(form(parts));
      expect([answer.status, answer.json]).toEqual([status, { detail }]);
    }
  });
});

describe('download', () => {
  const download = (filePath: string) =>
    api.request('GET', `/ship/${SHIP_ID}/download?file_path=${encodeURIComponent(filePath)}`, {
      headers: SESSION_HEADERS,
    });

  it('answers the bytes, with their length and name', async () => {
    const content = randomBytes(123_456);
    api.shipyard.contents.set(`${WORKSPACE}/sub/a.bin`, content);
    const answer = await download('sub/a.bin');
    expect(createHash('sha1').update(answer.bytes).digest('hex')).toBe(
      createHash('sha1').update(content).digest('hex'),
    );
    expect(answer).toMatchObject({
      status: 200,
      headers: {
        'content-type': 'application/octet-stream',
        'content-length': '123456',
        'content-disposition': 'attachment; filename="a.bin"',
      },
    });
  });

  it('answers an empty file', async () => {
    api.shipyard.contents.set(`${WORKSPACE}/empty`, Buffer.alloc(0));
    expect(await download('empty')).toMatchObject({ status: 200, text: '', headers: { 'content-length': '0' } });
  });

  it.each([
    ['报告.txt', `attachment; filename="__.txt"; filename*=UTF-8''%E6%8A%A5%E5%91%8A.txt`],
    ['a"b\\c', `attachment; filename="a_b_c"; filename*=UTF-8''a%22b%5Cc`],
    ['a\r\nX-Evil: 1', `attachment; filename="a__X-Evil: 1"; filename*=UTF-8''a%0D%0AX-Evil%3A%201`],
    ["it's (1)*.txt", `attachment; filename="it's (1)*.txt"`],
    ['é😀', `attachment; filename="__"; filename*=UTF-8''%C3%A9%F0%9F%98%80`],
  ])('names %j safely', async (name, disposition) => {
    api.shipyard.contents.set(`${WORKSPACE}/${name}`, Buffer.from('x'));
    expect(await download(name)).toMatchObject({ status: 200, headers: { 'content-disposition': disposition } });
  });

  it.each([
    ['missing', 404, 'Ship returned 404: {"detail":"File not found"}'],
    ['dir', 400, 'Ship returned 400: {"detail":"Path is not a file"}'],
    ['', 404, 'Ship returned 404: {"detail":"File not found"}'],
    ['../x', 403, `Ship returned 403: {"detail":"Access denied: path must be within workspace ${WORKSPACE}"}`],
  ])('answers %j with %d', async (name, status, detail) => {
    const answer = await download(name);
    expect([answer.status, answer.json]).toEqual([status, { detail }]);
  });

  it.each<[Reason, number, string]>([
    ['SHIP_NOT_RUNNING', 404, 'Ship not found or not running'],
    ['SESSION_NOT_BOUND', 403, 'Session does not have access to this ship'],
    ['SHIP_UNREACHABLE', 400, 'Connection error: not found: access'],
    ['DEADLINE_EXCEEDED', 400, 'File download timeout'],
    ['FILE_OPERATION_FAILED', 400, 'Ship returned 500: {"detail":"File download failed: not found: access"}'],
  ])('answers %s by its reason with %d', async (reason, status, detail) => {
    api.shipyard.failures.set('download', new StatusError(reason, 'not found: access'));
    const answer = await download('a');
    expect([answer.status, answer.json]).toEqual([status, { detail }]);
  });

  it('breaks off where the file turns out shorter than its length', async () => {
    api.shipyard.contents.set(`${WORKSPACE}/shrinks`, Buffer.from('12345'));
    api.shipyard.announcedExtraBytes = 1;
    await expect(download('shrinks')).rejects.toThrow();
    api.shipyard.announcedExtraBytes = 0;
    expect(await download('shrinks')).toMatchObject({ status: 200, text: '12345' });
  });
});
