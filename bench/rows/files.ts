import { createReadStream, createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { open, rename, writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { inMBs, interleave, ratioRow, type Row } from '../lib/stats.js';
import type { System } from '../lib/system.js';

const SIZE = 200_000_000;
const CHUNK = 256 * 1024;

/** GET and PUT of 200 MB over /v1, against a bare node:http server with the same file, read and written as Ship must. */
export async function files(system: System, rounds: number): Promise<Row[]> {
  const folder = mkdtempSync(path.join(system.bay.folder, 'bench-'));
  const file = path.join(folder, 'file');
  await writeFile(file, Buffer.alloc(SIZE, 'x'));
  const server = bareServer(file);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const headers = { authorization: `Bearer ${system.bay.token}`, 'x-session-id': system.session };
  const ours = { port: system.bay.port, path: `/v1/ships/${system.shipId}/files/content?path=big.bin`, headers };
  const bare = { port, path: '/', headers: {} };
  try {
    const rate = async (act: () => Promise<void>) => {
      const started = performance.now();
      await act();
      return SIZE / 1e6 / ((performance.now() - started) / 1000);
    };
    const put = await interleave(
      rounds,
      () => rate(() => transfer('PUT', ours, file)),
      () => rate(() => transfer('PUT', bare, file)),
    );
    const get = await interleave(
      rounds,
      () => rate(() => transfer('GET', ours)),
      () => rate(() => transfer('GET', bare)),
    );
    const row = (name: string, result: typeof get): Row => ratioRow(name, '≥ 0.5', result, inMBs);
    return [
      row('file GET of 200 MB / a bare node:http server', get),
      row('file PUT of 200 MB / a bare node:http server', put),
    ];
  } finally {
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true });
  }
}

function bareServer(file: string): http.Server {
  return http.createServer((request, response) => {
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-length': SIZE });
      createReadStream(file, { highWaterMark: CHUNK }).pipe(response);
      return;
    }
    void (async () => {
      const sibling = `${file}.part`;
      await pipeline(request, createWriteStream(sibling));
      const handle = await open(sibling);
      await handle.sync();
      await handle.close();
      await rename(sibling, `${file}.put`);
      response.end();
    })();
  });
}

async function transfer(
  method: 'GET' | 'PUT',
  target: { port: number; path: string; headers: Record<string, string> },
  file?: string,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const headers = file
      ? { ...target.headers, 'content-length': SIZE, 'content-type': 'application/octet-stream' }
      : target.headers;
    const request = http.request(
      { host: '127.0.0.1', port: target.port, path: target.path, method, headers, agent: false },
      (response) => {
        let bytes = 0;
        response.on('data', (piece: Buffer) => (bytes += piece.length));
        response.on('error', reject);
        response.on('end', () => {
          if ((response.statusCode ?? 500) >= 300) reject(new Error(`${method}: ${response.statusCode}`));
          else if (!file && bytes !== SIZE) reject(new Error(`only ${bytes} bytes came`));
          else resolve();
        });
      },
    );
    request.on('error', reject);
    if (file) createReadStream(file, { highWaterMark: CHUNK }).pipe(request);
    else request.end();
  });
}
