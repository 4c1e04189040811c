import { existsSync } from 'node:fs';
import { fail, say } from './log.mjs';
import { runQuietly, works } from './run.mjs';

/** Command or file that shows that a package is there, by package. */
const NEEDED = {
  bubblewrap: () => works('bwrap', ['--version']),
  'python3-venv': () => works('python3', ['-c', 'import ensurepip, venv']),
};
/** Without curl the demo shows its lines without running them; without the others ships have no network. */
const WANTED = {
  slirp4netns: () => works('slirp4netns', ['--version']),
  nftables: () => works('nft', ['--version']) || existsSync('/usr/sbin/nft'),
  curl: () => works('curl', ['--version']),
  iproute2: () => works('ip', ['-V']) || existsSync('/usr/sbin/ip'),
};
/** Needed where npm has no ready-made binary for this machine. */
const COMPILER = { 'g++': () => works('g++', ['--version']), make: () => works('make', ['--version']) };

const missing = (packages) => Object.entries(packages).flatMap(([name, there]) => (there() ? [] : [name]));

/** Installs Debian packages as root or by `sudo -n`; otherwise prints the one line that is missing and exits with 3. */
export function ensureDebianPackages({ compiler }) {
  if (process.platform !== 'linux') {
    fail('The local driver needs Linux. On macOS and Windows run Shipyard in a Linux machine or container.', 3);
  }
  const needed = [...missing(NEEDED), ...(compiler ? missing(COMPILER) : [])];
  const all = [...needed, ...missing(WANTED)];
  if (all.length === 0) return;

  const line = `apt-get install -y --no-install-recommends ${all.join(' ')}`;
  const asRoot = process.getuid() === 0 ? [] : works('sudo', ['-n', 'true']) ? ['sudo', '-n'] : undefined;
  if (!asRoot || !works('apt-get', ['--version'])) {
    if (needed.length === 0) return say(`    (ships get no network, and the demo no curl, without: sudo ${line})`);
    fail(`Some system packages are missing. Install them, then run the command again:\n\n  sudo ${line}\n`, 3);
  }
  const apt = (args) => {
    const [command, ...rest] = [...asRoot, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args];
    return [command, rest];
  };
  const install = apt(['install', '-y', '--no-install-recommends', ...all]);
  runQuietly('Reading the package lists', ...apt(['update']));
  if (!runQuietly(`Installing ${all.join(', ')}`, ...install)) fail(`Could not install them. Try: sudo ${line}`, 3);
}

/** Debian's own kernel packages, for machines that do not reach a Python index. */
export function installDebianKernel() {
  const packages = ['python3-ipykernel', 'python3-matplotlib'];
  if (process.getuid() !== 0) return false;
  return runQuietly(`Installing ${packages.join(', ')} from Debian`, 'apt-get', [
    'install',
    '-y',
    '--no-install-recommends',
    ...packages,
  ]);
}
