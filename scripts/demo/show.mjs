const colour = (code) => (text) => `\x1b[${code}m${text}\x1b[0m`;
export const bold = colour(1);
const dim = colour(2);
const red = colour(31);
const green = colour(32);

export const title = (text) => console.log(`\n${bold(text)}`);
export const note = (text) => console.log(dim(text));
export const code = (text) => console.log(text.replace(/^/gm, green('  │ ')));

/** Shows the events of an execution as they come, and answers its last one and its pictures. */
export async function showEvents(events) {
  const started = performance.now();
  const seen = { ended: undefined, pictures: [], stdout: '', stderr: '' };
  const at = () => dim(`${((performance.now() - started) / 1000).toFixed(2).padStart(6)} s `);
  for await (const event of events) {
    for (const stream of ['stdout', 'stderr']) {
      if (!event[stream]) continue;
      seen[stream] += event[stream].text ?? '';
      const paint = stream === 'stderr' ? red : (text) => text;
      for (const line of (event[stream].text ?? '').trimEnd().split('\n'))
        console.log(at() + dim(`#${event.sequence} ${stream} `) + paint(line));
    }
    for (const item of [...(event.display?.items ?? []), ...(event.result?.items ?? [])]) {
      if (item.mimeType === 'image/png') seen.pictures.push(Buffer.from(item.data, 'base64'));
      if (item.mimeType === 'text/plain')
        console.log(at() + dim(`#${event.sequence} ${event.result ? 'result' : 'display'} `) + item.text);
    }
    if (event.error) console.log(at() + red(`${event.error.name}: ${event.error.value}`));
    if (event.ended) seen.ended = event.ended;
  }
  if (!seen.ended) throw new Error('the stream stopped without `ended`');
  const { exited } = seen.ended;
  console.log(
    at() +
      dim(
        `ended: ${exited ? `exit code ${exited.code ?? 0}` : Object.keys(seen.ended).find((key) => OUTCOMES.has(key))}`,
      ),
  );
  return seen;
}

const OUTCOMES = new Set(['completed', 'raised', 'signaled', 'kernelDied', 'couldNotStart', 'unknown']);
