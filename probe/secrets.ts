import { randomBytes } from 'node:crypto';

/** A text that nobody guesses and that stands nowhere by chance. */
export const newSecret = (what: string): string => `probe-${what}-${randomBytes(12).toString('hex')}`;
