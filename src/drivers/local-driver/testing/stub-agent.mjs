/**
 * Stands in for the agent in tests of drivers: reads an AgentConfig, listens, and runs commands in a session's sandbox as
 * the real one does. One JSON request a line, one answer a line.
 */
import { spawn } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';

const config = JSON.parse(readFileSync(process.argv[2], 'utf8'));
console.log(`stub agent of ${config.shipId}, incarnation ${config.incarnation}`);
if (config.environment.STUB_FAILS) {
  console.error('stub agent: told to fail');
  process.exit(4);
}

const operations = {
  hello: () => ({ shipId: config.shipId, incarnation: config.incarnation, pid: process.pid }),
  session: ({ homeName, uid, argv }) => run(sessionCommand(homeName, uid, argv)),
  agent: ({ argv }) => run(argv),
  /** Starts a process that nothing but the end of the ship ends. */
  leave: ({ argv }) => {
    spawn(argv[0], argv.slice(1), { detached: true, stdio: 'ignore' }).unref();
    return {};
  },
  exit: ({ code }) => process.exit(code),
};

createServer((socket) => {
  socket.on('error', () => socket.destroy());
  createInterface({ input: socket }).on('line', (line) => {
    const request = JSON.parse(line);
    void Promise.resolve(operations[request.op](request)).then((answer) => socket.write(`${JSON.stringify(answer)}\n`));
  });
}).listen(config.listen.path);

function sessionCommand(homeName, uid, argv) {
  const home = path.join(config.homesDir, homeName);
  mkdirSync(path.join(home, 'workspace'), { recursive: true });
  const { kind, bwrap } = config.sandbox;
  if (kind === 'none') return ['env', '-C', path.join(home, 'workspace'), ...argv];
  const view = [
    ...['--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp', '--unshare-pid', '--unshare-ipc'],
    ...['--dir', '/tmp/home', '--bind', home, '/tmp/home', '--cap-drop', 'ALL'],
    ...nodeBelowTmp(),
    ...(config.resolvConf && existsSync('/etc/resolv.conf')
      ? ['--ro-bind', config.resolvConf, '/etc/resolv.conf']
      : []),
  ];
  if (kind === 'bwrap-userns') {
    return [
      bwrap,
      ...view,
      '--unshare-user',
      '--uid',
      '1000',
      '--gid',
      '1000',
      '--chdir',
      '/tmp/home/workspace',
      '--',
      ...argv,
    ];
  }
  for (const dir of [home, path.join(home, 'workspace')]) chownSync(dir, uid, uid);
  const keep = ['--cap-add', 'CAP_SETUID', '--cap-add', 'CAP_SETGID', '--chdir', '/'];
  const become = ['setpriv', '--reuid', `${uid}`, '--regid', `${uid}`, '--clear-groups', '--no-new-privs'];
  return [bwrap, ...view, ...keep, '--', ...become, 'env', '-C', '/tmp/home/workspace', ...argv];
}

/** Tests run this very Node in sessions; bubblewrap would make the folders above it as closed as it likes. */
function nodeBelowTmp() {
  const folders = [];
  for (let folder = path.dirname(process.execPath); folder.startsWith('/tmp/'); folder = path.dirname(folder))
    folders.unshift('--perms', '0755', '--dir', folder);
  return folders.length > 0 ? [...folders, '--ro-bind', process.execPath, process.execPath] : [];
}

function run([command, ...args]) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) child[name].on('data', (data) => (output[name] += data));
    child.on('error', (error) => resolve({ code: -1, stdout: '', stderr: error.message }));
    child.on('close', (code, signal) => resolve({ code: signal ?? code, ...output }));
  });
}
