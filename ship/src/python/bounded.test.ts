import { toId, toJson } from './bounded.js';

const nested = (levels: number): unknown => {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = [value];
  return value;
};

describe('JSON of what a kernel says', () => {
  it('is the value, to a depth that readers take', () => {
    expect(toJson({ a: '[{"\\' }, '{}')).toBe('{"a":"[{\\"\\\\"}');
    expect(toJson(nested(500), '{}')).toBe(`${'['.repeat(500)}1${']'.repeat(500)}`);
    expect(toJson(['['.repeat(2000)], '{}')).toBe(`["${'['.repeat(2000)}"]`);
  });

  it('is the value, however long its texts are', () => {
    const value = { a: 'x\\"['.repeat(5_000_000) };
    expect(toJson(value, '{}').length).toBe(JSON.stringify(value).length);
  });

  it.each([501, 2000, 100_000])('is something else beyond it: %d levels', (levels) => {
    expect(toJson(nested(levels), '{}')).toBe('{}');
  });
});

it('a name that is too long is told by its digest, the same each time', () => {
  expect(toId('short')).toBe('short');
  expect(toId('d'.repeat(2000))).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(toId('d'.repeat(2000))).toBe(toId('d'.repeat(2000)));
  expect(toId('d'.repeat(2000))).not.toBe(toId('d'.repeat(2001)));
});
