/** File routes led astray: by words, by links, and by links that change while Bay is on its way. */
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { attack } from '../attack.js';
import { Refused, type Session } from '../bay.js';
import { knownPaths } from '../known-paths.js';
import { breached, held, type Finding, type Probe } from '../probe.js';
import type { Scene } from '../scene.js';
import { newSecret } from '../secrets.js';

/** Everything that a route answers, refusals included. */
async function answer(act: () => Promise<Response>): Promise<string> {
  try {
    return await (await act()).text();
  } catch (error) {
    if (error instanceof Refused) return `${error.reason} ${error.message}`;
    throw error;
  }
}

/** All ways to read a path. */
const readers = (session: Session, path: string): (() => Promise<Response>)[] => [
  () => session.files('GET', ':text', { path }),
  () => session.files('GET', '/content', { path }),
  () => session.files('GET', '', { path }),
  () =>
    session.bay.call('GET', `/ship/${session.shipId}/download?${new URLSearchParams({ file_path: path }).toString()}`, {
      session: session.id,
    }),
  () => exec(session, 'fs/read_file', { path }),
];

/** All ways to change a path. */
const writers = (session: Session, path: string, text: string): (() => Promise<Response>)[] => [
  () => session.files('POST', ':write', {}, { path, content: text }),
  () => session.files('POST', ':write', {}, { path, content: text, append: true }),
  () => session.files('PUT', '/content', { path }, Buffer.from(text)),
  () => session.files('POST', ':edit', {}, { path, oldString: 'probe', newString: text }),
  () => session.files('POST', ':mkdir', {}, { path: `${path}.d` }),
  () => upload(session, path, text),
  () => exec(session, 'fs/write_file', { path, content: text }),
];

const removers = (session: Session, path: string): (() => Promise<Response>)[] => [
  () => session.files('DELETE', '', { path }),
  () => session.files('POST', ':move', {}, { path, newPath: 'moved-here' }),
  () => session.files('POST', ':move', {}, { path: 'to-move.txt', newPath: path }),
  () => exec(session, 'fs/delete_file', { path }),
];

function exec(session: Session, type: string, payload: object): Promise<Response> {
  return session.bay.call('POST', `/ship/${session.shipId}/exec`, { session: session.id, body: { type, payload } });
}

function upload(session: Session, path: string, text: string): Promise<Response> {
  const form = new FormData();
  form.append('file', new Blob([text]), path.split('/').at(-1));
  form.append('file_path', path);
  return session.bay.call('POST', `/ship/${session.shipId}/upload`, { session: session.id, body: form });
}

/** Ways to write a path that lies outside. */
const spellings = (path: string): string[] => [
  path,
  `../../../../../../..${path}`,
  `a/../../../../../../..${path}`,
  `./${'../'.repeat(30)}${path.slice(1)}`,
  `/proc/self/root${path}`,
  `/proc/1/root${path}`,
  `//${path}`,
  encodeURIComponent(`../../../../../..${path}`),
  `..%2f..%2f..%2f..%2f..${path}`,
  `....//....//....//..${path}`,
  `${path}\0.txt`,
  `file://${path}`,
  `~root/..${path}`,
];

/** A folder in the session's own sandbox, but outside its workspace, with a secret in it. */
async function outside({ attacker }: Scene): Promise<{ folder: string; secret: string }> {
  const folder = `/tmp/${newSecret('outside')}`;
  const secret = newSecret('outside-content');
  await attacker.run({ command: { command: `mkdir -p ${folder} && printf %s ${secret} > ${folder}/file` } });
  return { folder, secret };
}

/** What the folder holds now: names and contents. */
async function look({ attacker }: Scene, folder: string): Promise<string> {
  return (await attacker.run({ command: { command: `cd ${folder} && ls -A && cat file` } })).stdout;
}

export const fileRoutes: readonly Probe[] = [
  {
    name: 'path-reads',
    attempts: 'read outside the workspace by spellings of paths, over every route',
    async run(scene) {
      const { attacker, host, secrets, controls } = scene;
      const { folder, secret } = await outside(scene);
      if (!(await answer(() => attacker.files('GET', ':text', { path: 'own.txt' }))).includes(controls.file))
        throw new Error('the routes do not even read an own file');
      const targets = [`${folder}/file`, ...(host ? [`${host.folder}/secret`] : []), '/etc/shadow'];
      let count = 0;
      for (const path of targets.flatMap(spellings)) {
        for (const read of readers(attacker, path)) {
          count += 1;
          const said = await answer(read);
          const found = [secret, ...Object.values(secrets)].find((one) => said.includes(one));
          if (found) return breached(`${JSON.stringify(path)} was read`);
        }
      }
      return held(`${count} reads refused`);
    },
  },
  {
    name: 'path-writes',
    attempts: 'write, move or delete outside the workspace by spellings of paths',
    async run(scene) {
      const { attacker, host } = scene;
      const { folder, secret } = await outside(scene);
      const before = await look(scene, folder);
      if (!before.includes(secret)) throw new Error('the file outside was not made');
      await attacker.writeText('to-move.txt', 'probe');
      let count = 0;
      for (const path of spellings(`${folder}/file`).concat(host ? spellings(`${host.folder}/secret`) : [])) {
        for (const act of [...writers(attacker, path, 'changed'), ...removers(attacker, path)]) {
          count += 1;
          await answer(act);
        }
      }
      if ((await look(scene, folder)) !== before) return breached('the folder outside is not as it was');
      return hostIsWhole(scene)
        ? held(`${count} acts, and nothing outside changed`)
        : breached('a file of the machine changed');
    },
  },
  {
    name: 'link-reads',
    attempts: 'read outside the workspace by links that the session made',
    async run(scene) {
      const { attacker, host, target, secrets, controls } = scene;
      const { folder, secret } = await outside(scene);
      const known = knownPaths({
        ...(target.own ? { bayFolder: target.own.folder } : {}),
        ...(host ? { hostFolder: host.folder } : {}),
        temporaryFolder: tmpdir(),
      }).filter((path) => !path.includes('*'));
      const ownFile = 'own.txt';
      const targets = [
        ownFile,
        `${folder}/file`,
        folder,
        '/proc/1/environ',
        '/proc/self/environ',
        '/proc/self/root',
        ...known,
      ];
      await attack(attacker, 'links', { act: 'plant', targets });
      if (!(await answer(() => attacker.files('GET', ':text', { path: 'link-0' }))).includes(controls.file))
        throw new Error('not even a link within the workspace is followed');
      let count = 0;
      for (const index of targets.keys()) {
        for (const path of index === 0 ? [] : [`link-${index}`, `link-${index}/file`, `link-${index}/etc/passwd`]) {
          for (const read of readers(attacker, path)) {
            count += 1;
            const said = await answer(read);
            const found = [secret, 'root:x:0:0', 'PATH=/', ...Object.values(secrets)].find((one) => said.includes(one));
            if (found) return breached(`the link to ${targets[index]} was followed`);
          }
        }
      }
      return held(`${count} reads through links refused`);
    },
  },
  race(
    'race-reads',
    'read outside by a folder that becomes a link while Bay reads',
    async (session, secret, inside) => {
      let own = 0;
      let count = 0;
      for (const end = performance.now() + RACE_MS; performance.now() < end;) {
        for (const read of readers(session, 'flip/file')) {
          count += 1;
          const said = await answer(read);
          if (said.includes(secret)) return breached('the file outside was read');
          if (said.includes(inside)) own += 1;
        }
      }
      if (own === 0) throw new Error('not even the file inside was read once');
      return held(`${count} reads, ${own} of them of the file inside, none of the one outside`);
    },
  ),
  race('race-writes', 'write outside by a folder that becomes a link while Bay writes', async (session) => {
    let count = 0;
    for (const end = performance.now() + RACE_MS; performance.now() < end;) {
      for (const write of writers(session, 'flip/new', 'changed')) {
        count += 1;
        await answer(write);
      }
    }
    return held(`${count} writes, none outside`);
  }),
  race('race-removals', 'delete or move outside by a folder that becomes a link while Bay works', async (session) => {
    let count = 0;
    for (const end = performance.now() + RACE_MS; performance.now() < end;) {
      await answer(() => session.files('POST', ':write', {}, { path: 'flip/file', content: 'again' }));
      for (const remove of [...removers(session, 'flip/file'), ...removers(session, 'flip')].slice(0, 6)) {
        count += 1;
        await answer(remove);
      }
    }
    return held(`${count} removals, none outside`);
  }),
  {
    name: 'hard-links',
    attempts: 'read files of others by hard links in its workspace',
    async run({ attacker, target, host, secrets }) {
      const targets = [
        '/etc/shadow',
        '/etc/passwd',
        ...knownPaths({
          ...(target.own ? { bayFolder: target.own.folder } : {}),
          ...(host ? { hostFolder: host.folder } : {}),
          temporaryFolder: tmpdir(),
        }),
      ];
      const { attempts } = await attack(attacker, 'links', { act: 'hard', targets });
      if (!attempts.some(({ attempt, got }) => attempt === 'own file' && got)) throw new Error('no hard link at all');
      for (const index of targets.keys()) {
        const said = await answer(() => attacker.files('GET', ':text', { path: `hard-${index}` }));
        if (Object.values(secrets).some((one) => said.includes(one)) || said.includes('root:x:0:0'))
          return breached(`a hard link to ${targets[index]} was made and read`);
      }
      return held(`${targets.length} hard links refused`);
    },
  },
  {
    name: 'special-files',
    attempts: 'hang or fool file routes by pipes, sockets, loops and devices',
    async run({ attacker, controls }) {
      await attack(attacker, 'links', { act: 'special' });
      const slow: string[] = [];
      let count = 0;
      for (const name of ['pipe', 'socket', 'loop', 'zero', 'memory', 'terminal']) {
        const acts = [...readers(attacker, name), ...writers(attacker, name, 'x').slice(0, 5)];
        for (const act of acts) {
          count += 1;
          const began = performance.now();
          await answer(act);
          if (performance.now() - began > 5000) slow.push(name);
        }
      }
      const after = await attacker.readText('own.txt');
      if (after !== controls.file) throw new Error('the routes do not work any more');
      return slow.length > 0
        ? breached(`no answer within 5 s for: ${slow.join(', ')}`)
        : held(`${count} acts answered`);
    },
  },
];

const RACE_MS = 4000;

/** A probe that acts while the session keeps exchanging `flip` for a link to a folder outside. */
function race(
  name: string,
  attempts: string,
  act: (session: Session, secret: string, inside: string) => Promise<Finding>,
): Probe {
  return {
    name,
    attempts,
    async run(scene) {
      const { attacker } = scene;
      const { folder, secret } = await outside(scene);
      const before = await look(scene, folder);
      await attacker.run({ command: { command: 'rm -rf flip flip-link flip-folder moved-here' } });
      const inside = newSecret('inside');
      const args = { act: 'swap', outside: folder, inside, seconds: RACE_MS / 1000 + 1, targets: [] };
      const swapping = attack(attacker, 'links', args);
      swapping.catch(() => undefined); // heard below, unless the act fails first
      await untilThere(attacker, 'flip');
      const found = await act(attacker, secret, inside);
      const swaps = Number(/(\d+) times/.exec((await swapping).output)?.[1] ?? 0);
      if (found.verdict !== 'held') return found;
      if (swaps < 100) throw new Error(`the folder and the link changed places only ${swaps} times`);
      const after = await look(scene, folder);
      if (after !== before) return breached('the folder outside is not as it was');
      return held(`${found.evidence}; ${swaps} exchanges meanwhile`);
    },
  };
}

/** Work that was just started makes it. */
async function untilThere(session: Session, path: string): Promise<void> {
  for (const end = performance.now() + 10_000; performance.now() < end;) {
    if ((await answer(() => session.files('GET', ':info', { path }))).includes('"name"')) return;
  }
  throw new Error(`${path} was not made within 10 s`);
}

function hostIsWhole({ host }: Scene): boolean {
  if (!host) return true;
  const file = `${host.folder}/secret`;
  return existsSync(file) && readFileSync(file, 'utf8') === host.secret && !existsSync(`${file}.d`);
}
