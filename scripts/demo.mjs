/**
 * The tour of `npm run demo`: Bay with the `local` driver on free ports, one ship, Python with state, a picture, a shell
 * command, a shared file, and the same by curl. Whatever happens, Bay and the ship are gone at the end.
 */
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startOwnBay } from './lib/bay.mjs';
import { fail, seconds } from './lib/log.mjs';
import { works } from './lib/run.mjs';
import { Client } from './demo/client.mjs';
import { bold, code, note, showEvents, title } from './demo/show.mjs';
import { setUp } from './setup.mjs';

setUp();
const session = `demo-${randomUUID().slice(0, 8)}`;
const bay = await startOwnBay();
const end = { status: 1 };
let interrupted;
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => (interrupted ??= bay.stop().then(() => process.exit(130))));
try {
  await tour(new Client(bay, session));
  end.status = 0;
} catch (error) {
  await interrupted; // a tour that is broken off fails, and that is no news
  process.stderr.write(`\nThe demo failed: ${error.stack}\n`);
}
const left = await bay.stop();
if (left !== 0) fail(`Bay ended with ${left}.`);
if (end.status === 0)
  console.log(`\n${bold('Done.')} Bay and the ship are gone. Run Bay for yourself with: npm start\n`);
process.exitCode = end.status;

async function tour(client) {
  title(`Bay runs at ${bay.url} (HTTP) and 127.0.0.1:${bay.grpcPort} (gRPC)`);
  const started = performance.now();
  const { shipId: ship, isolation } = await client.json('POST', '/v1/ships', { ttlSeconds: 600, maxSessionNum: 2 });
  console.log(
    `Ship ${ship} is up after ${seconds(started)}: isolation ${isolation.kind}, network ${isolation.network}`,
  );

  const python = (source) => (code(source), showEvents(client.execute(ship, { cell: { code: source } })));
  title('A Python cell: its prints arrive as they happen');
  await python("import time\nfor i in range(3):\n    print('step', i)\n    time.sleep(0.3)\nanswer = 6 * 7");
  title('The next cell remembers');
  await python("print('the answer is', answer)\nanswer + 1");
  title('A picture');
  const { pictures } = await python(
    "import matplotlib.pyplot as plt, math\nxs = [i / 20 for i in range(200)]\nplt.figure(figsize=(6, 3))\nplt.plot(xs, [math.sin(x) for x in xs])\nplt.title('made in a ship')\nplt.show()",
  );
  if (pictures.length !== 1) throw new Error(`one picture was expected, ${pictures.length} came`);
  const picture = path.join(tmpdir(), `shipyard-demo-${session.slice(5)}.png`);
  writeFileSync(picture, pictures[0]);
  console.log(`The picture is in ${bold(picture)}`);

  title('A shell command: stdout and stderr stay apart, and the exit code is the real one');
  const shell = (command) => (code(command), showEvents(client.execute(ship, { command: { command } })));
  const { stdout, stderr, ended } = await shell('echo to stdout; echo to stderr >&2; exit 3');
  if (stdout !== 'to stdout\n' || stderr !== 'to stderr\n' || ended.exited?.code !== 3)
    throw new Error('that is not what the command did');
  title('A file, written by the shell and read by Python');
  await shell('echo "written by the shell" > note.txt');
  const read = await python("print(open('note.txt').read(), end='')");
  if (read.stdout !== 'written by the shell\n') throw new Error('Python read something else');

  curlTour(ship);
  await client.json('DELETE', `/v1/ships/${ship}`);
}

function curlTour(ship) {
  title('The same through curl');
  note(`  export TOKEN=${bay.token}   # of this Bay, which ends with the demo`);
  const call = (path, body) =>
    `curl -sS -H "Authorization: Bearer $TOKEN" -H 'X-SESSION-ID: ${session}' -H 'Content-Type: application/json' \\\n    ${bay.url}${path} -d '${JSON.stringify(body)}'`;
  const exec = (type, payload) => call(`/ship/${ship}/exec`, { type, payload });
  const lines = [
    [exec('ipython/exec', { code: 'print(answer)' }), '42'],
    [exec('shell/exec', { command: 'cat note.txt' }), 'written by the shell'],
    [exec('fs/read_file', { path: 'note.txt' }), 'written by the shell'],
    [
      `curl -sS -N -H "Authorization: Bearer $TOKEN" -H 'X-SESSION-ID: ${session}' -H 'Content-Type: application/json' -H 'Accept: text/event-stream' \\\n    ${bay.url}/v1/ships/${ship}/executions -d '{"executionId": "hello-1", "cell": {"code": "print(answer + 1)"}}'`,
      '43',
    ],
  ];
  const curl = works('curl', ['--version']);
  if (!curl) note('  (curl is not installed: the lines are shown and not run)');
  for (const [line, expected] of lines) {
    code(line);
    if (!curl) continue;
    const { stdout, stderr, status } = spawnSync('bash', ['-c', line], {
      encoding: 'utf8',
      timeout: 60_000,
      env: { ...process.env, TOKEN: bay.token, no_proxy: '127.0.0.1' },
    });
    console.log(stdout.trimEnd());
    if (status !== 0 || !stdout.includes(expected)) throw new Error(`curl answered ${status}: ${stderr}`);
  }
}
