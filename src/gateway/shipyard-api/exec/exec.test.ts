import { StatusError } from '../../../../proto/rpc/status-error.js';
import type { Reason } from '../../../../proto/rpc/reasons.js';
import { HEADERS, startApi, type TestApi } from '../testing/start-api.js';
import { SHIP_ID, STOPPED_ID } from '../testing/fake-shipyard.js';

let api: TestApi;
beforeEach(async () => (api = await startApi()));
afterEach(() => api.close());

const detailOf = async (type: string, payload?: unknown) => {
  const answer = await api.exec(type, payload);
  return [answer.status, (answer.json as { detail: string }).detail];
};

describe('exec', () => {
  it.each([
    ['{"type":1}', '{"type":"string_type","loc":["body","type"],"msg":"Input should be a valid string","input":1}'],
    [
      '{"payload":{"a":1.0}}',
      '{"type":"missing","loc":["body","type"],"msg":"Field required","input":{"payload":{"a":1.0}}}',
    ],
    [
      '{"type":"a","payload":[]}',
      '{"type":"dict_type","loc":["body","payload"],"msg":"Input should be a valid dictionary","input":[]}',
    ],
    [
      '{"type":"a","x":1}',
      '{"type":"extra_forbidden","loc":["body","x"],"msg":"Extra inputs are not permitted","input":1}',
    ],
  ])('refuses %s', async (body, expected) => {
    const answer = await api.post(`/ship/${SHIP_ID}/exec`, body);
    expect([answer.status, answer.text]).toEqual([422, `{"detail":[${expected}]}`]);
  });

  it.each([
    'nope',
    '/shell/exec',
    'shell/exec?x=1',
    'shell/../shell/exec',
    'upload',
    'shell//exec',
    '__proto__',
    'shell/process/a/nope',
  ])('answers to the unknown type %s as Ship would', async (type) => {
    expect(await detailOf(type, {})).toEqual([400, 'Ship returned 404: {"detail":"Not Found"}']);
  });

  it.each(['', 'health', 'stat', 'docs', 'download'])(
    'answers 405 in the text to %j, which Ship only gives away',
    async (type) => {
      expect(await detailOf(type)).toEqual([400, 'Ship returned 405: {"detail":"Method Not Allowed"}']);
    },
  );

  it('follows a trailing slash, as Bay did', async () => {
    expect(await api.exec('shell/cwd/')).toMatchObject({ status: 200 });
  });

  it('treats a payload that is null or left out as empty', async () => {
    expect(await api.exec('fs/list_dir', null)).toMatchObject({ status: 200 });
    expect(await api.exec('fs/list_dir')).toMatchObject({ status: 200 });
  });

  it.each([
    ['fs/create_file', '{}', '{"type":"missing","loc":["body","path"],"msg":"Field required","input":{}}'],
    [
      'fs/create_file',
      '{"path":"a","mode":"0o644"}',
      '{"type":"int_parsing","loc":["body","mode"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"0o644"}',
    ],
    [
      'fs/create_file',
      '{"path":"a","content":null}',
      '{"type":"string_type","loc":["body","content"],"msg":"Input should be a valid string","input":null}',
    ],
    [
      'fs/read_file',
      '{"path":"a","offset":1.50}',
      '{"type":"int_from_float","loc":["body","offset"],"msg":"Input should be a valid integer, got a number with a fractional part","input":1.5}',
    ],
    [
      'fs/write_file',
      '{"path":"a","x":1.0}',
      '{"type":"missing","loc":["body","content"],"msg":"Field required","input":{"path":"a","x":1.0}}',
    ],
    [
      'fs/edit_file',
      '{"path":"a","old_string":"","new_string":"","replace_all":"maybe"}',
      '{"type":"bool_parsing","loc":["body","replace_all"],"msg":"Input should be a valid boolean, unable to interpret input","input":"maybe"}',
    ],
    [
      'fs/delete_file',
      '{"path":5}',
      '{"type":"string_type","loc":["body","path"],"msg":"Input should be a valid string","input":5}',
    ],
    [
      'fs/list_dir',
      '{"show_hidden":null}',
      '{"type":"bool_type","loc":["body","show_hidden"],"msg":"Input should be a valid boolean","input":null}',
    ],
    [
      'shell/exec',
      '{"command":"a","env":[]}',
      '{"type":"dict_type","loc":["body","env"],"msg":"Input should be a valid dictionary","input":[]}',
    ],
    [
      'shell/exec',
      '{"command":"a","env":{"A":1,"B":null}}',
      '{"type":"string_type","loc":["body","env","A"],"msg":"Input should be a valid string","input":1},{"type":"string_type","loc":["body","env","B"],"msg":"Input should be a valid string","input":null}',
    ],
    [
      'shell/exec',
      '{"command":"a","shell":2}',
      '{"type":"bool_parsing","loc":["body","shell"],"msg":"Input should be a valid boolean, unable to interpret input","input":2}',
    ],
    [
      'ipython/exec',
      '{"code":"1","timeout":null}',
      '{"type":"int_type","loc":["body","timeout"],"msg":"Input should be a valid integer","input":null}',
    ],
  ])('tells what %s refuses in %s as Ship would', async (type, payload, expected) => {
    const answer = await api.post(`/ship/${SHIP_ID}/exec`, `{"type":"${type}","payload":${payload}}`);
    expect(answer.json).toEqual({ detail: `Ship returned 422: {"detail":[${expected}]}` });
    expect(answer.status).toBe(400);
  });

  const INVALID: ReadonlyArray<readonly [string, unknown]> = [
    ['nope', {}],
    ['shell/exec', {}],
    ['fs/read_file', { path: 'a' }],
    ['ipython/exec', { code: '1' }],
    ['shell/processes', {}],
  ];

  it.each(['nobody', STOPPED_ID])('tells first that ship %s cannot be used', async (id) => {
    for (const [type, payload] of INVALID) {
      const answer = await api.post(`/ship/${id}/exec`, { type, payload });
      expect([type, answer.status, answer.text]).toEqual([type, 400, '{"detail":"Ship not found or not running"}']);
    }
  });

  it('tells first that the session has no right to the ship', async () => {
    for (const [type, payload] of INVALID) {
      const answer = await api.post(
        `/ship/${SHIP_ID}/exec`,
        { type, payload },
        { ...HEADERS, 'x-session-id': 'other' },
      );
      expect([type, answer.status, answer.text]).toEqual([
        type,
        400,
        '{"detail":"Session does not have access to this ship"}',
      ]);
    }
  });

  it.each<[Reason, string]>([
    ['SHIP_UNREACHABLE', 'Connection error: the cause'],
    ['DEADLINE_EXCEEDED', 'Request timeout'],
    ['INTERNAL', 'Internal error: the cause'],
    ['SESSION_QUEUE_FULL', 'Ship returned 429: {"detail":"the cause"}'],
    ['PATH_OUTSIDE_WORKSPACE', 'Ship returned 403: {"detail":"the cause"}'],
    ['TOO_LARGE', 'Ship returned 413: {"detail":"the cause"}'],
  ])('answers 400 to %s', async (reason, detail) => {
    api.shipyard.failures.set('startExecution', new StatusError(reason, 'the cause'));
    expect(await detailOf('shell/exec', { command: 'true' })).toEqual([400, detail]);
    expect(await detailOf('ipython/exec', { code: '1' })).toEqual([400, detail]);
  });

  it('says so where the stream of events stops without an end', async () => {
    api.shipyard.script = () => [];
    const detail = 'Connection error: the stream of events stopped before the end of the execution';
    expect(await detailOf('ipython/exec', { code: '1' })).toEqual([400, detail]);
  });
});

describe('fs', () => {
  const WORKSPACE = '/home/user/workspace';

  it('creates, reads, appends, edits, lists and deletes', async () => {
    const answers = [
      await api.exec('fs/create_file', { path: 'a.txt', content: 'one' }),
      await api.exec('fs/write_file', { path: 'a.txt', content: ' two', mode: 'a' }),
      await api.exec('fs/read_file', { path: 'a.txt' }),
      await api.exec('fs/edit_file', { path: 'a.txt', old_string: 'two', new_string: 'three' }),
      await api.exec('fs/list_dir', {}),
      await api.exec('fs/delete_file', { path: 'a.txt' }),
      await api.exec('fs/delete_file', { path: 'dir' }),
    ];
    const path = `${WORKSPACE}/a.txt`;
    expect(answers.map(({ text }) => text)).toEqual([
      `{"success":true,"data":{"success":true,"message":"File created: a.txt","path":"${path}"},"error":null}`,
      `{"success":true,"data":{"success":true,"message":"File written: a.txt","path":"${path}","size":7},"error":null}`,
      `{"success":true,"data":{"content":"one two","path":"${path}","size":7},"error":null}`,
      `{"success":true,"data":{"success":true,"message":"File edited: a.txt","path":"${path}","replacements":1,"size":9},"error":null,"replacements":1}`,
      `{"success":true,"data":{"files":[{"name":"dir","path":"${WORKSPACE}/dir","is_file":false,"is_dir":true,"size":null,"modified_time":1700000000.0},` +
        `{"name":"a.txt","path":"${path}","is_file":true,"is_dir":false,"size":9,"modified_time":1700000000.0}],"current_path":"${WORKSPACE}"},"error":null}`,
      '{"success":true,"data":{"success":true,"message":"File deleted: a.txt"},"error":null}',
      '{"success":true,"data":{"success":true,"message":"Directory deleted: dir"},"error":null}',
    ]);
  });

  it('sends the documented defaults', async () => {
    await api.exec('fs/create_file', { path: 'a' });
    await api.exec('fs/read_file', { path: 'a' });
    await api.exec('fs/write_file', { path: 'a', content: '' });
    await api.exec('fs/list_dir', {});
    const sent = api.shipyard.calls.map(({ request }) => request);
    expect(sent).toMatchObject([
      { content: '', encoding: 'utf-8', append: false, mode: 0o644 },
      { encoding: 'utf-8', offset: undefined, limit: undefined },
      { append: false, encoding: 'utf-8', mode: undefined },
      { path: '.', showHidden: false },
    ]);
  });

  it('sends a large text as an upload', async () => {
    const content = 'é'.repeat(3 * 1024 * 1024);
    expect(await api.exec('fs/write_file', { path: 'big', content })).toMatchObject({
      status: 200,
      json: { data: { size: 6 * 1024 * 1024 } },
    });
    expect(api.shipyard.contents.get(`${WORKSPACE}/big`)?.toString()).toBe(content);
  });

  it.each([
    ['fs/read_file', { path: 'x' }, 'Ship returned 404: {"detail":"File not found: x"}'],
    ['fs/read_file', { path: 'dir' }, 'Ship returned 400: {"detail":"Path is not a file: dir"}'],
    ['fs/read_file', { path: '../x' }, OUTSIDE()],
    ['fs/create_file', { path: '../x' }, OUTSIDE()],
    ['fs/write_file', { path: '/etc/passwd', content: '' }, OUTSIDE()],
    [
      'fs/edit_file',
      { path: 'x', old_string: 'a', new_string: 'b' },
      'Ship returned 404: {"detail":"File not found: x"}',
    ],
    ['fs/delete_file', { path: 'x' }, 'Ship returned 404: {"detail":"Path not found: x"}'],
    ['fs/list_dir', { path: 'x' }, 'Ship returned 404: {"detail":"Directory not found: x"}'],
  ])('%s of %j', async (type, payload, detail) => {
    expect(await detailOf(type, payload)).toEqual([400, detail]);
  });

  it.each([
    ['readText', 'fs/read_file', { path: 'x' }, 'Failed to read file'],
    ['writeText', 'fs/create_file', { path: 'x' }, 'Failed to create file'],
    ['writeText', 'fs/write_file', { path: 'x', content: '' }, 'Failed to write file'],
    ['editText', 'fs/edit_file', { path: 'x', old_string: 'a', new_string: 'b' }, 'Failed to edit file'],
    ['deleteFile', 'fs/delete_file', { path: 'x' }, 'Failed to delete'],
    ['listDirectory', 'fs/list_dir', {}, 'Failed to list directory'],
  ])('a failing %s names what failed', async (method, type, payload, failed) => {
    for (const reason of ['FILE_OPERATION_FAILED', 'ENCODING_FAILED', 'DISK_FULL'] as const) {
      api.shipyard.failures.set(method, new StatusError(reason, "[Errno 13] Permission denied: 'x'"));
      const detail = JSON.stringify({ detail: `${failed}: [Errno 13] Permission denied: 'x'` });
      expect(await detailOf(type, payload)).toEqual([400, `Ship returned 500: ${detail}`]);
    }
  });

  it('reads a text too large for one message all the same', async () => {
    const text = '\ufeffé"\r\n'.repeat(3000);
    api.shipyard.contents.set(`${WORKSPACE}/large`, Buffer.from(text));
    api.shipyard.failures.set('readText', new StatusError('TOO_LARGE', 'the size'));
    const read = async (payload: object) => (await api.exec('fs/read_file', { path: 'large', ...payload })).json;
    const line = '\ufeffé"\r\n';
    const data = { content: text, path: `${WORKSPACE}/large`, size: Buffer.byteLength(text) };
    expect(await read({})).toEqual({ success: true, data, error: null });
    expect(await read({ offset: 2999 })).toMatchObject({ data: { content: line.repeat(2) } });
    expect(await read({ offset: 2, limit: 700 })).toMatchObject({ data: { content: line.repeat(700) } });
    expect(await read({ offset: 9999 })).toMatchObject({ data: { content: '' } });
    expect(await read({ limit: 0 })).toMatchObject({ data: { content: '' } });
    expect(await read({ limit: -1 })).toEqual({ detail: 'Ship returned 413: {"detail":"the size"}' });
    expect(await read({ encoding: 'latin-1' })).toEqual({ detail: 'Ship returned 413: {"detail":"the size"}' });

    api.shipyard.contents.set(`${WORKSPACE}/large`, Buffer.from([0x61, 0xff]));
    expect((await read({})) as object).toMatchObject({
      detail: expect.stringContaining('Failed to read file') as string,
    });
  });

  it('names a mode that is none', async () => {
    const [status, detail] = await detailOf('fs/create_file', { path: 'x', mode: 99999999 });
    expect([status, detail]).toEqual([400, expect.stringContaining('Failed to create file: mode must be')]);
  });
});

function OUTSIDE(): string {
  return 'Ship returned 403: {"detail":"Access denied: path must be within workspace /home/user/workspace"}';
}
