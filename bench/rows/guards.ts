import http from 'node:http';
import { median, type Row } from '../lib/stats.js';
import type { System } from '../lib/system.js';

/** A cell's p50 while a 1 GB download of the same ship runs, against its p50 alone. Passes up to 3. */
export async function cellDuringDownload(system: System): Promise<Row> {
  await system.exec('shell/exec', { command: 'truncate -s 1G gigabyte.bin' });
  const cells = async (while_: () => boolean) => {
    const times: number[] = [];
    while (times.length < 200 && while_()) {
      const started = performance.now();
      await system.exec('ipython/exec', { code: '1+1' });
      times.push(performance.now() - started);
    }
    return times;
  };
  await cells(() => true);
  const alone = median(await cells(() => true));
  let running = true;
  const bytes = download(system).finally(() => (running = false));
  const during = await cells(() => running);
  if ((await bytes) !== 1024 ** 3) throw new Error(`the download brought ${await bytes} bytes`);
  return {
    name: "a cell's p50 during a 1 GB download / alone",
    value: median(during) / alone,
    unit: 'x',
    goal: '≤ 3',
    detail: `${median(during).toFixed(2)} ms against ${alone.toFixed(2)} ms, ${during.length} cells`,
  };
}

function download(system: System): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${system.bay.token}`, 'x-session-id': system.session };
    http
      .get(
        {
          host: '127.0.0.1',
          port: system.bay.port,
          path: `/v1/ships/${system.shipId}/files/content?path=gigabyte.bin`,
          headers,
          agent: false,
        },
        (response) => {
          let bytes = 0;
          response.on('data', (piece: Buffer) => (bytes += piece.length));
          response.on('end', () => resolve(bytes));
          response.on('error', reject);
        },
      )
      .on('error', reject);
  });
}
