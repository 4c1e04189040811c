import { readdirSync } from 'node:fs';
import path from 'node:path';
import { root } from './run.mjs';

const SKIPPED = new Set(['node_modules', 'gen', 'dist']);

/** Files below a folder of the checkout with one of the endings, sorted; generated and installed ones left out. */
export function filesUnder(folder, endings) {
  const found = [];
  const walk = (directory) => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.isDirectory() && !SKIPPED.has(entry.name)) walk(path.join(directory, entry.name));
      else if (entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
        found.push(path.join(directory, entry.name));
    }
  };
  walk(path.join(root, folder));
  return found.sort();
}
