import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { temporaryFolders } from '../testing/temporary-folder.js';
import { dataPathsOf, makeDataDirs, removeEmptyFolder, removeShipData, sweepRemovals } from './ship-data.js';

const folder = temporaryFolders('ship-data');

/** A folder below which paths are four times as long as the system takes. */
function makeDeep(place: string): void {
  const dive = 'name=$(printf "%0200d" 0); for i in $(seq 80); do mkdir $name && cd $name || exit 1; done; touch file';
  execFileSync('bash', ['-c', dive], { cwd: place });
}

describe("a ship's data", () => {
  it('are removed however deep they lie, and however they are closed', async () => {
    const all = folder();
    const paths = dataPathsOf(all, 'ship');
    makeDataDirs(paths);
    makeDeep(paths.home);
    execFileSync('bash', ['-c', 'mkdir -p closed/below && touch closed/below/file && chmod 0 closed'], {
      cwd: paths.home,
    });
    await removeShipData(all, paths);
    expect(readdirSync(all)).toEqual([]);
  });

  it('are kept where an empty folder alone may go, which need not be there', async () => {
    const all = folder();
    const { root, home } = dataPathsOf(all, 'ship');
    mkdirSync(home, { recursive: true });
    await removeEmptyFolder(root);
    expect(existsSync(home)).toBe(true);
    mkdirSync(dataPathsOf(all, 'empty').root);
    for (const id of ['empty', 'nowhere']) await removeEmptyFolder(dataPathsOf(all, id).root);
    expect(readdirSync(all)).toEqual(['ship']);
  });

  it('are removed by a second try where a first one left some of them', async () => {
    const all = folder();
    const left = path.join(all, '.removing-ship-0123abcd');
    const others = path.join(all, '.removing-ship-2-0123abcd');
    for (const place of [left, others]) mkdirSync(place);
    writeFileSync(path.join(left, 'file'), '');
    await removeShipData(all, dataPathsOf(all, 'ship'));
    expect(readdirSync(all)).toEqual([path.basename(others)]);
    await sweepRemovals(all);
    expect(existsSync(others)).toBe(false);
  });
});
