/** By the first letter of a unit, in lower case. */
const UNITS: Readonly<Record<string, number>> = { k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** An agent needs as much for itself. */
const LEAST_BYTES = 32 * 1024 ** 2;
/** A pebibyte: more is a mistake, and numbers of engines overflow. */
const MOST_BYTES = 1024 ** 5;

export const MEMORY_GRAMMAR =
  'an integer with an optional unit k, kb, m, mb, g or gb, or Ki, Mi or Gi (powers of 1024), as in 512m, from 32m to 1048576g';

/** Of the units of Kubernetes the binary ones alone, and as it writes them: its own `m` and `M` mean something else. */
const MEMORY = /^(\d+)([KMG]i|[KMGkmg][Bb]?)?$/;

/** Bytes of a text as `512m`; undefined where it is not of that grammar, or out of its range. */
export function parseMemoryBytes(text: string): number | undefined {
  const [, count, unit = ''] = MEMORY.exec(text.trim()) ?? [];
  if (count === undefined) return undefined;
  const bytes = Number(count) * (UNITS[unit.charAt(0).toLowerCase()] ?? 1);
  return bytes >= LEAST_BYTES && bytes <= MOST_BYTES ? bytes : undefined;
}

/** The largest unit that says it exactly: 536870912 is `512m`. */
export function formatMemory(bytes: number): string {
  for (const unit of ['g', 'm', 'k']) {
    const size = UNITS[unit] ?? 1;
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return `${bytes}`;
}
