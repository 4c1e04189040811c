import { MarkerScanner } from './marker-scanner.js';

describe('MarkerScanner', () => {
  const marker = Buffer.from('\0end 1234\0');
  const scanAll = (chunks: Buffer[]): { text: string; found: boolean } => {
    const scanner = new MarkerScanner(marker);
    let text = '';
    for (const chunk of chunks) {
      const { output, found } = scanner.scan(chunk);
      text += output.toString('latin1');
      if (found) return { text, found };
    }
    return { text: text + scanner.rest().toString('latin1'), found: false };
  };

  it('finds the marker wherever the chunks are cut, and gives every byte before it', () => {
    const before = `some output\0end 12\0\0`;
    const stream = Buffer.concat([Buffer.from(before), marker, Buffer.from('later')]);
    for (let first = 0; first <= stream.length; first++) {
      for (let second = first; second <= stream.length; second++) {
        const chunks = [stream.subarray(0, first), stream.subarray(first, second), stream.subarray(second)];
        expect(scanAll(chunks)).toEqual({ text: before, found: true });
      }
    }
  });

  it('gives what only looked like the marker when no more comes', () => {
    expect(scanAll([Buffer.from('text\0end')])).toEqual({ text: 'text\0end', found: false });
  });

  it('holds back nothing that cannot be the marker', () => {
    expect(new MarkerScanner(marker).scan(Buffer.from('$ ')).output.toString()).toBe('$ ');
  });
});
