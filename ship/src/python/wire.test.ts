import { toMeaning, toPages } from './to-event.js';
import { Wire, type KernelReply } from './wire.js';

const reply = (type: string, content: Record<string, unknown>): KernelReply => ({
  type,
  parentId: 'p',
  content,
  metadata: {},
  buffers: [],
});

describe('the wire format', () => {
  const wire = new Wire('key');

  it('reads what it wrote, routing frames and buffers included', () => {
    const frames = wire.encode('id-1', 'execute_request', { code: 'é' });
    const message = wire.decode([Buffer.from('route'), ...frames, Buffer.from([0xff])]);
    expect(message).toEqual({
      type: 'execute_request',
      parentId: '',
      content: { code: 'é' },
      metadata: {},
      buffers: [Buffer.from([0xff])],
    });
  });

  it('refuses a message that is signed with another key, or changed', () => {
    const frames = new Wire('other').encode('id-1', 'input_reply', {});
    expect(() => wire.decode(frames)).toThrow('wrong signature');
    const changed = wire.encode('id-1', 'input_reply', { value: 'a' });
    changed[5] = Buffer.from('{"value":"b"}');
    expect(() => wire.decode(changed)).toThrow('wrong signature');
  });

  it.each([
    ['nothing', []],
    ['no delimiter', [Buffer.from('a'), Buffer.from('b')]],
    ['too few frames', [Buffer.from('<IDS|MSG>'), Buffer.from('00')]],
  ])('refuses %s', (_name, frames) => {
    expect(() => wire.decode(frames)).toThrow('frames');
  });
});

describe('the meaning of a message', () => {
  it('decodes binary types and leaves text types alone', () => {
    const data = {
      'image/png': Buffer.from([1, 2]).toString('base64'),
      'image/svg+xml': '<svg/>',
      'application/pdf': 'AA==',
      'application/vnd.x+json': { a: 1 },
      'application/json': 'text',
      'text/html': ['<b>', 'x</b>'],
    };
    const meaning = toMeaning(reply('display_data', { data }), 0);
    expect(meaning && 'event' in meaning && meaning.event.$case === 'display' && meaning.event.value.items).toEqual([
      { mimeType: 'image/png', content: { $case: 'data', value: Buffer.from([1, 2]) } },
      { mimeType: 'image/svg+xml', content: { $case: 'text', value: '<svg/>' } },
      { mimeType: 'application/pdf', content: { $case: 'data', value: Buffer.from([0]) } },
      { mimeType: 'application/vnd.x+json', content: { $case: 'text', value: '{"a":1}' } },
      { mimeType: 'application/json', content: { $case: 'text', value: '"text"' } },
      { mimeType: 'text/html', content: { $case: 'text', value: '<b>x</b>' } },
    ]);
  });

  it('takes whatever a session makes its kernel say', () => {
    const nonsense = {
      data: 3,
      metadata: [],
      transient: null,
      ename: {},
      traceback: [1],
      text: 7,
      name: [],
      wait: 'x',
    };
    for (const type of ['stream', 'display_data', 'execute_result', 'error', 'clear_output', 'comm_open', 'unknown']) {
      expect(() => toMeaning(reply(type, nonsense), 1)).not.toThrow();
    }
    expect(toPages(reply('execute_reply', { payload: [null, { source: 'page', data: null }] }))).toHaveLength(1);
  });

  it('keeps JSON of a JSON type as JSON', () => {
    const event = toMeaning(reply('display_data', { data: { 'application/json': null } }), 0);
    expect(JSON.stringify(event)).toContain('"value":"null"');
  });
});
