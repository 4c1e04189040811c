/** Splits a command line as Python's `shlex.split` does (POSIX rules, no comments). */

/** @throws RangeError with Python's words where a quotation or an escape is not finished */
export function shlexSplit(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < line.length; at++) {
    const char = line[at] as string;
    if (quote !== '') {
      if (char === quote) quote = '';
      else if (char === '\\' && quote === '"') {
        const next = line[++at];
        if (next === undefined) throw new RangeError('No escaped character');
        word += next === '"' || next === '\\' ? next : `\\${next}`;
      } else word += char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= '';
    } else if (char === '\\') {
      const next = line[++at];
      if (next === undefined) throw new RangeError('No escaped character');
      word = (word ?? '') + next;
    } else if (char === ' ' || char === '\t' || char === '\r' || char === '\n') {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + char;
    }
  }
  if (quote !== '') throw new RangeError('No closing quotation');
  if (word !== undefined) words.push(word);
  return words;
}
