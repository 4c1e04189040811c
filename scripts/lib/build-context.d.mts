import type { Readable } from 'node:stream';

/** A folder as engines take it for a build: a tar archive, less what its .dockerignore leaves out. */
export function openBuildContext(folder: string): Readable;
