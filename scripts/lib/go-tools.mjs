import { spawnSync } from 'node:child_process';
import { renameSync } from 'node:fs';
import path from 'node:path';
import { root, runQuietly, works } from './run.mjs';

/** Programs that the tests use beside ours, and that Go builds from its module proxy. */
const TOOLS = {
  grpcurl: { module: 'github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3', version: ['-version'] },
  // As a program of its own; Docker's command would take it for a plug-in as well.
  'docker-compose': { module: 'github.com/docker/compose/v2/cmd@v2.32.4', version: ['version'] },
  helm: { module: 'helm.sh/helm/v3/cmd/helm@v3.16.4', version: ['version'] },
};

/** Where they are put; a stage that uses them has it in its PATH. */
export const toolsFolder = path.join(root, '.cache/bin');

/**
 * Sees to it that a tool is there.
 *
 * @param {keyof typeof TOOLS} name
 * @returns whether it is; Go itself may be missing
 */
export function ensureGoTool(name) {
  const { module, version } = TOOLS[name];
  if (works(path.join(toolsFolder, name), version)) return true;
  if (!works('go', ['version'])) return false;
  const env = { ...process.env, GOBIN: toolsFolder };
  if (!runQuietly(`Building ${name}`, 'go', ['install', module], { env })) return false;
  const built = path.basename(module).split('@')[0]; // Go names a program by the last part of its path
  if (built !== name) renameSync(path.join(toolsFolder, built), path.join(toolsFolder, name));
  return true;
}

/** The folder with the files of a module, for instance `sigs.k8s.io/gateway-api@v1.2.1`; undefined where Go cannot get it. */
export function goModuleFolder(module) {
  const args = ['mod', 'download', '-json', module];
  const { status, stdout } = spawnSync('go', args, { encoding: 'utf8', cwd: '/', timeout: 120_000 });
  return status === 0 ? JSON.parse(stdout).Dir : undefined;
}
