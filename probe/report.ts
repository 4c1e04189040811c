import type { Result } from './probe.js';

/** One line for each probe. */
export function line(result: Result): string {
  return `${result.verdict.padEnd(15)}${result.probe.padEnd(28)}${cut(detailOf(result))}`;
}

/** What all of them say together, and the exit code: 1 where something was breached, or could not be told. */
export function summarize(results: readonly Result[]): { text: string; exitCode: number } {
  const count = (verdict: Result['verdict']) => results.filter((result) => result.verdict === verdict).length;
  const [held, breached, none, broken] = [count('held'), count('breached'), count('not applicable'), count('broken')];
  const text = `${results.length} probes: ${held} held, ${breached} breached, ${none} not applicable, ${broken} broken`;
  return { text, exitCode: breached + broken > 0 ? 1 : 0 };
}

function detailOf(result: Result): string {
  switch (result.verdict) {
    case 'held':
      return result.evidence;
    case 'breached':
      return `tried to ${result.attempts}: ${result.evidence}`;
    case 'not applicable':
      return result.reason;
    case 'broken':
      return result.error;
  }
}

/** What ships wrote passes here to a terminal. */
function cut(text: string): string {
  const printable = text.replace(/[^\x20-\x7e\u00a0-\uffff]+/g, ' ');
  return printable.length > 300 ? `${printable.slice(0, 299)}…` : printable;
}
