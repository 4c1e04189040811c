/**
 * `npm run bench [-- --quick] [-- NAME…]`: every figure as a ratio against a reference that is started here and measured
 * in turn with ours, because absolute times wander with the machine. Goals are reported, never asserted; guards are. Rows of
 * engines and clusters (`docker`, `podman`, `kubernetes`) are run by name.
 */
import path from 'node:path';
import { startReferenceKernel } from './lib/reference-kernel.js';
import { show, type Row } from './lib/stats.js';
import { System } from './lib/system.js';
import { within } from './lib/within.js';
import { firstOutput, output, roundTrip } from './rows/cells.js';
import { createToFirstAnswer } from './rows/create.js';
import { echo } from './rows/echo.js';
import { engineRows } from './rows/engines.js';
import { files } from './rows/files.js';
import { cellDuringDownload } from './rows/guards.js';
import { kubernetesRows } from './rows/kubernetes.js';
import { bayMemory, shipMemory } from './rows/memory.js';
import { shellOutput, shellTrue } from './rows/shell.js';

const python = process.env['SHIPYARD_PYTHON'] ?? path.resolve(import.meta.dirname, '../.venv/bin/python');
const quick = process.argv.includes('--quick');
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const rounds = (full: number) => (quick ? 1 : full);
const failures: string[] = [];
/** A row that takes longer hangs. */
const ROW_MS = 15 * 60_000;

const environment = { MAX_UPLOAD_SIZE: '2000000000', MAX_SHIP_NUM: '40', SHIPYARD_PYTHON: python };
const system = await System.start(environment);
const reference = await startReferenceKernel(python).catch(async (error: unknown) => {
  await system.stop();
  throw error;
});

const ROWS: Record<string, () => Promise<Row | Row[]>> = {
  cells: () => roundTrip(system, reference, rounds(7), '1+1 through HTTP / jupyter_client direct', ['≤ 0.95', '≤ 1.6']),
  stock: () => stockRoundTrip(),
  first: () => firstOutput(system, reference, rounds(7)),
  echo: () => echo(system, rounds(7)),
  output: () => output(system, reference, rounds(5)),
  shell: async () => [await shellOutput(system, rounds(5)), await shellTrue(system, rounds(7))],
  files: () => files(system, rounds(5)),
  create: () => createToFirstAnswer(system, python, rounds(7)),
  memory: async () => [bayMemory(system), await shipMemory(system, quick ? 4 : 20)],
  guards: async () => guard(await cellDuringDownload(system), 3),
  docker: () => engineRows('docker', rounds(7), quick ? 2 : 8),
  podman: () => engineRows('podman', rounds(7), quick ? 2 : 8),
  kubernetes: () => kubernetesRows(rounds(7)),
};
/** They need the image of ships (`npm run images`). */
const BY_NAME = ['docker', 'podman', 'kubernetes'];

try {
  for (const [name, rows] of Object.entries(ROWS)) {
    if (wanted.length > 0 ? !wanted.includes(name) : BY_NAME.includes(name)) continue;
    for (const row of [await within(`the figures of "${name}"`, rows(), ROW_MS)].flat()) console.log(show(row));
  }
} finally {
  await reference.stop();
  await system.stop();
}
for (const failure of failures) console.log(`failed: ${failure}`);
process.exitCode = failures.length > 0 ? 1 : 0;

/** The same with a kernel that users bring: ipykernel's own launcher, in a second system. */
async function stockRoundTrip(): Promise<Row[]> {
  const stock = await System.start({ ...environment, SHIP_ENV_SHIPYARD_KERNEL: 'stock' });
  try {
    // It would tell in a cell's text that it forgets its oldest results.
    const code =
      "import sys, warnings\nwarnings.filterwarnings('ignore', 'Output cache')\n'shipyard_kernel' in sys.modules";
    const { output } = await stock.exec<{ output: { text: string } }>('ipython/exec', { code });
    if (output.text !== 'False') throw new Error("the ship of the stock launcher runs Shipyard's");
    return await roundTrip(stock, reference, rounds(5), '1+1, stock launcher / jupyter_client direct', ['≤ 1.4', '']);
  } finally {
    await stock.stop();
  }
}

function guard(row: Row, atMost: number): Row {
  if (row.value > atMost) failures.push(`${row.name}: ${row.value.toFixed(2)} is more than ${atMost}`);
  return row;
}
