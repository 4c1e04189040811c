import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import type { AgentConfig } from './config.js';
import { parseConfig } from './parse-config.js';

/** Far more than a configuration with certificates and environment takes. */
const MAX_BYTES = 1024 * 1024;
/** From the agent's start until the driver has written everything. */
const STDIN_TIMEOUT_MS = 30_000;

/**
 * The configuration from the file of this name, or from standard input, to its end, where the name is "-": what a
 * container engine passes on without keeping it anywhere.
 *
 * @throws Error that names what is wrong, never with a value
 */
export async function readConfig(
  file: string | undefined,
  options: { stdin?: Readable; timeoutMs?: number } = {},
): Promise<AgentConfig> {
  if (!file) throw new Error('the configuration file is not named');
  if (file !== '-') return parseConfig(readFileSync(file, 'utf8'));
  return parseConfig(await readToEnd(options.stdin ?? process.stdin, options.timeoutMs ?? STDIN_TIMEOUT_MS));
}

async function readToEnd(stdin: Readable, timeoutMs: number): Promise<string> {
  const late = new Error(`the configuration did not arrive within ${timeoutMs} ms`);
  const timer = setTimeout(() => stdin.destroy(late), timeoutMs);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stdin as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > MAX_BYTES) throw new Error(`the configuration has more than ${MAX_BYTES} bytes`);
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks).toString('utf8');
}
