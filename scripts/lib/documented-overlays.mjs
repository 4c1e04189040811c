import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { kubectl } from './cluster.mjs';
import { root } from './run.mjs';

/** The template of the page's example, which its overlay reads from a file. */
const POD_TEMPLATE = /^spec:$/m;

/**
 * What docs/kubernetes.md says to write into an overlay, each piece over the base, as kustomize makes it.
 *
 * @returns {string[]} YAML of all objects, one text for each piece
 */
export function documentedOverlays() {
  const page = readFileSync(path.join(root, 'docs/kubernetes.md'), 'utf8');
  const blocks = [...page.matchAll(/^( *)```yaml\n([\s\S]*?)^ *```$/gm)].map(([, indent, text]) =>
    text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  );
  const pieces = blocks.filter((text) => /^patches:$/m.test(text));
  if (pieces.length === 0) throw new Error('docs/kubernetes.md has no piece of an overlay');
  const template = blocks.find((text) => POD_TEMPLATE.test(text)) ?? '';
  return pieces.map((piece) => kustomized(piece, template));
}

function kustomized(piece, template) {
  const folder = mkdtempSync(path.join(tmpdir(), 'shipyard-overlay-'));
  try {
    cpSync(path.join(root, 'deploy/kubernetes/base'), path.join(folder, 'base'), { recursive: true });
    writeFileSync(path.join(folder, 'pod-template.yaml'), template);
    writeFileSync(path.join(folder, 'kustomization.yaml'), `resources: [base]\n${piece}`);
    return kubectl(['kustomize', folder]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
