import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { run } from './run.mjs';

/**
 * Makes an archive as `docker save` writes it of a file system, itself a tar archive, which is used up. Engines import
 * file systems by themselves, but Docker takes them for its own architecture whatever it is told.
 *
 * @param {string} layer
 * @param {{ name: string, architecture: 'amd64' | 'arm64' }} image
 * @returns {Promise<string>} the archive's file, beside the file system
 */
export async function packImage(layer, { name, architecture }) {
  const folder = `${layer}-image`;
  mkdirSync(folder);
  const hash = createHash('sha256');
  await pipeline(createReadStream(layer), hash);
  renameSync(layer, path.join(folder, 'layer.tar'));
  const config = {
    architecture,
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: [`sha256:${hash.digest('hex')}`] },
    history: [{ created_by: 'mmdebstrap' }],
  };
  const manifest = [{ Config: 'config.json', RepoTags: [name], Layers: ['layer.tar'] }];
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify(config));
  writeFileSync(path.join(folder, 'manifest.json'), JSON.stringify(manifest));
  const archive = `${folder}.tar`;
  run('tar', ['-cf', archive, '-C', folder, 'config.json', 'manifest.json', 'layer.tar']);
  return archive;
}
