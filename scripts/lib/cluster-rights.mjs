import { readFileSync } from 'node:fs';
import path from 'node:path';
import { kubectl } from './cluster.mjs';
import { root } from './run.mjs';

/**
 * What Bay's account may do beyond one without a role is what docs/kubernetes.md lists, and nothing else.
 *
 * @throws Error that tells both
 */
export function expectOnlyDocumentedRights(namespace) {
  const rights = (account) => {
    const as = `--as=system:serviceaccount:${namespace}:${account}`;
    return kubectl(['-n', namespace, 'auth', 'can-i', '--list', '--no-headers', as]).trim().split('\n');
  };
  const base = new Set(rights('default'));
  const granted = rights('shipyard-bay').filter((line) => !base.has(line));
  const found = granted.map((line) => {
    const [, resource, verbs] = /^([^\s.]+)\S*.*\[([^\]]*)\]$/.exec(line.trim());
    return `${resource}: ${verbs.split(' ').sort().join(', ')}`;
  });
  const page = readFileSync(path.join(root, 'docs/kubernetes.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `([a-z/]+)` +\| ([a-z, ]+?) +\|/gm)];
  const documented = rows.map(([, resource, verbs]) => `${resource}: ${verbs}`);
  const [is, should] = [found, documented].map((lines) => lines.sort().join('\n'));
  if (is !== should) throw new Error(`the Role gives\n${is}\nand docs/kubernetes.md says\n${should}`);
}
