const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1024,
  kb: 1024,
  m: 1024 ** 2,
  mb: 1024 ** 2,
  g: 1024 ** 3,
  gb: 1024 ** 3,
};

export const MEMORY_GRAMMAR = 'an integer with an optional unit k, kb, m, mb, g or gb (powers of 1024), as in 512m';

/** Bytes of a text as `512m`; undefined where it is not of that grammar, is zero or is too large to count. */
export function parseMemoryBytes(text: string): number | undefined {
  const match = /^(\d+)([a-z]*)$/.exec(text.trim().toLowerCase());
  const unit = UNITS[match?.[2] ?? ''];
  if (!match || unit === undefined) return undefined;
  const bytes = Number(match[1]) * unit;
  return bytes > 0 && Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The largest unit that says it exactly: 536870912 is `512m`. */
export function formatMemory(bytes: number): string {
  for (const unit of ['g', 'm', 'k']) {
    const size = UNITS[unit] ?? 1;
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return `${bytes}`;
}
