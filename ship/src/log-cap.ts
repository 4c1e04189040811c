import { closeSync, constants, copyFileSync, ftruncateSync, openSync, statSync, watchFile, unwatchFile } from 'node:fs';

const LOOK_EVERY_MS = 5000;

/**
 * Keeps the file that stdout and stderr lead to at two files of `maxBytes`: a full one is copied to `<path>.1` and cut.
 * The agent does it itself, because nobody else lives as long; the file was opened to append, so that writing goes on at
 * its new end. What is written between copy and cut is lost.
 *
 * @returns stops looking
 */
export function capLog({ path, maxBytes }: { readonly path: string; readonly maxBytes: number }): () => void {
  const look = () => {
    const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    if (size > maxBytes) rotate(path);
  };
  look();
  watchFile(path, { persistent: false, interval: LOOK_EVERY_MS }, look);
  return () => unwatchFile(path, look);
}

function rotate(path: string): void {
  copyFileSync(path, `${path}.1`);
  const file = openSync(path, constants.O_WRONLY);
  try {
    ftruncateSync(file, 0);
  } finally {
    closeSync(file);
  }
}
