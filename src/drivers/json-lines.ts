import { addAbortSignal, type Readable } from 'node:stream';

/** Longer than anything that an engine tells on one line. */
const MAX_LINE_CHARS = 1024 * 1024;

/** The JSON values of a stream with one a line. Ends with the stream, or rejects when the signal aborts. */
export async function* jsonLines<T>(stream: Readable, signal: AbortSignal): AsyncGenerator<T, void, undefined> {
  addAbortSignal(signal, stream);
  stream.setEncoding('utf8');
  let rest = '';
  for await (const text of stream as AsyncIterable<string>) {
    rest += text;
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const line = rest.slice(0, end).trim();
      rest = rest.slice(end + 1);
      if (line !== '') yield JSON.parse(line) as T;
    }
    if (rest.length > MAX_LINE_CHARS) throw new Error('the engine sent a line without an end');
  }
  if (rest.trim() !== '') yield JSON.parse(rest) as T;
}
