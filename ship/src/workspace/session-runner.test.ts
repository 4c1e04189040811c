import { existsSync, lstatSync } from 'node:fs';
import {
  availableSandboxes,
  runBash,
  startTestRunner,
  TEST_UID,
  type TestRunner,
} from './testing/start-test-runner.js';

const exited = (code: number): object => ({ kind: 'exited', code });

describe.each(availableSandboxes())('a session runner in %s', (kind) => {
  let test: TestRunner;
  const sandboxed = kind === 'bwrap-uid' || kind === 'bwrap-userns';

  beforeAll(async () => {
    test = await startTestRunner(kind, { environment: { GREETING: 'hello', PATH: '/opt/more/bin' } });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  describe('processes', () => {
    it('report what they wrote and how they ended', async () => {
      const { stdout, stderr, exit } = await runBash(test.runner, 'echo out; echo err >&2; exit 7');
      expect({ stdout, stderr, exit }).toEqual({ stdout: 'out\n', stderr: 'err\n', exit: exited(7) });
      const killed = await runBash(test.runner, 'kill -TERM $$');
      expect(killed.exit).toEqual({ kind: 'signaled', signal: 'SIGTERM' });
    });

    it('see exactly the environment of the session', async () => {
      const { stdout } = await runBash(test.runner, 'env -u _ -u SHLVL -u PWD; umask; pwd', {
        env: { EXTRA: 'x=1\ny' },
      });
      expect(stdout.trim().split('\n').sort()).toEqual(
        [
          `PATH=${test.runner.home}/.venv/bin:/opt/more/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
          `HOME=${test.runner.home}`,
          `USER=${kind === 'uid' ? `session-${TEST_UID}` : 'user'}`,
          'TERM=xterm-256color',
          'LANG=C.UTF-8',
          'TZ=UTC',
          'GREETING=hello',
          'EXTRA=x=1',
          'y',
          '0077',
          test.runner.workspace,
        ].sort(),
      );
    });

    it('start in the directory asked for, and nowhere else', async () => {
      await runBash(test.runner, 'mkdir -p sub/dir; ln -s / out; echo > file');
      expect((await runBash(test.runner, 'pwd', { cwd: 'sub/dir' })).stdout).toBe(`${test.runner.workspace}/sub/dir\n`);
      expect((await runBash(test.runner, 'pwd', { cwd: `${test.runner.workspace}/sub` })).stdout).toBe(
        `${test.runner.workspace}/sub\n`,
      );
      const denied = {
        reason: 'PATH_OUTSIDE_WORKSPACE',
        message: `Access denied: path must be within workspace ${test.runner.workspace}`,
      };
      for (const cwd of ['..', '/', 'out', 'sub/../..'])
        await expect(runBash(test.runner, 'pwd', { cwd })).rejects.toMatchObject(denied);
      await expect(runBash(test.runner, 'pwd', { cwd: 'missing' })).rejects.toMatchObject({ reason: 'FILE_NOT_FOUND' });
      await expect(runBash(test.runner, 'pwd', { cwd: 'file' })).rejects.toMatchObject({ reason: 'PATH_WRONG_KIND' });
    });

    it('that cannot be started say why', async () => {
      const start = (argv: string[], env?: Record<string, string>) => test.runner.spawn({ argv, name: 'x', env });
      await expect(start(['no-such-program'])).rejects.toMatchObject({
        message: "cannot run [Errno 2] No such file or directory: 'no-such-program'",
      });
      await expect(start(['/etc/passwd'])).rejects.toMatchObject({
        message: "cannot run [Errno 13] Permission denied: '/etc/passwd'",
      });
      await expect(start(['bash', '-c', 'a\0b'])).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
      await expect(start(['bash'], { 'A=B': 'x' })).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
      await expect(start(['bash', '-c', `: ${'x'.repeat(200_000)}`])).rejects.toMatchObject({
        reason: 'FILE_OPERATION_FAILED',
      });
    });

    it('read their input to its end', async () => {
      const process = await test.runner.spawn({ argv: ['wc', '-c'], name: 'wc', stdin: true });
      process.stdin!.end(Buffer.alloc(1_000_000, 'x'));
      process.stdout.setEncoding('utf8');
      let stdout = '';
      for await (const chunk of process.stdout) stdout += String(chunk);
      expect(stdout.trim()).toBe('1000000');
      expect((await runBash(test.runner, 'cat; echo $?')).stdout).toBe('0\n');
    });

    it('run side by side without mixing', async () => {
      const numbers = Array.from({ length: 20 }, (_, index) => index);
      const outputs = await Promise.all(
        numbers.map((n) => runBash(test.runner, `for i in 1 2 3; do echo ${n}; done; exit ${n}`)),
      );
      outputs.forEach(({ stdout, exit }, n) =>
        expect({ stdout, exit }).toEqual({ stdout: `${n}\n`.repeat(3), exit: exited(n) }),
      );
    });

    it('lose no byte in 200 runs of a fast program', async () => {
      for (let run = 0; run < 200; run++) {
        const { stdout } = await runBash(test.runner, "head -c 65536 /dev/zero | tr '\\0' x");
        if (stdout.length !== 65_536) throw new Error(`run ${run}: ${stdout.length} bytes`);
      }
    });

    it('stop while nobody reads, instead of filling memory', async () => {
      const process = await test.runner.spawn({
        argv: ['bash', '-c', 'head -c 200000000 /dev/zero; echo done >&2'],
        name: 'much',
      });
      let said = '';
      process.stderr.on('data', (text) => (said += String(text)));
      await new Promise((resolve) => process.stdout.once('readable', resolve));
      // Time to run ahead in, if it could: a slow machine only makes it less.
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(process.stdout.readableLength).toBeLessThan(1024 * 1024);
      expect(said).toBe('');
      let bytes = 0;
      for await (const chunk of process.stdout) bytes += (chunk as Buffer).length;
      expect(bytes).toBe(200_000_000);
      await process.exited;
      expect(said).toBe('done\n');
    });

    it('are killed with everything that came from them, also what left the group and lost its parent', async () => {
      const script =
        'setsid bash -c "setsid sleep 1000 & sleep 1001 & exit" & setsid -f sleep 1002; sleep 1003 & echo ready; wait';
      const process = await test.runner.spawn({ argv: ['bash', '-c', script], name: 'tree' });
      process.stderr.resume();
      for await (const chunk of process.stdout) if (String(chunk).includes('ready')) break;
      const sleepers = async (): Promise<string> => (await runBash(test.runner, 'pgrep -f "^sleep 100[0-3]"')).stdout;
      while ((await sleepers()).trim().split('\n').length < 4) await new Promise((resolve) => setTimeout(resolve, 10));
      process.kill('SIGKILL', { tree: true });
      expect(await process.exited).toEqual({ kind: 'signaled', signal: 'SIGKILL' });
      // A process that was killed may take a moment to be gone.
      while ((await sleepers()) !== '') await new Promise((resolve) => setTimeout(resolve, 10));
    });

    it('get signals as a group', async () => {
      const process = await test.runner.spawn({
        argv: ['bash', '-c', 'trap "echo got; exit 3" TERM; echo ready; sleep 60 & wait'],
        name: 'trap',
      });
      let stdout = '';
      process.stderr.resume();
      for await (const chunk of process.stdout) {
        stdout += String(chunk);
        if (stdout === 'ready\n') process.kill('SIGTERM');
      }
      expect({ stdout, exit: await process.exited }).toEqual({ stdout: 'ready\ngot\n', exit: exited(3) });
    });
  });

  describe('terminals', () => {
    const open = (command: string) =>
      test.runner.openTerminal({
        argv: ['bash', '-c', command],
        name: 'terminal',
        columns: 100,
        rows: 30,
        term: 'xterm',
      });

    it('are a controlling terminal of the size asked for', async () => {
      const terminal = await open(
        'stty size; [ -t 0 ] && [ -t 1 ] && exec 3<>/dev/tty && echo $TERM; read line; stty size; echo "<$line>"; exit 4',
      );
      let shown = '';
      for await (const chunk of terminal.output) {
        shown += String(chunk);
        if (shown.includes('xterm') && !shown.includes('typed')) {
          terminal.resize(120, 40);
          expect(terminal.write(Buffer.from('typed\n'))).toBe(6);
        }
      }
      expect(shown).toBe('30 100\r\nxterm\r\ntyped\r\n40 120\r\n<typed>\r\n');
      expect(await terminal.exited).toEqual(exited(4));
    });

    it('lose no byte in 200 runs of a fast program', async () => {
      for (let run = 0; run < 200; run++) {
        const terminal = await open("head -c 65536 /dev/zero | tr '\\0' x");
        let bytes = 0;
        for await (const chunk of terminal.output) bytes += (chunk as Buffer).length;
        if (bytes !== 65_536) throw new Error(`run ${run}: ${bytes} bytes`);
      }
    }, 120_000);

    it('pass Ctrl-C and interrupts to what runs in the foreground', async () => {
      const terminal = await test.runner.openTerminal({
        argv: ['bash', '--norc', '-i'],
        name: 't',
        columns: 80,
        rows: 24,
        term: 'dumb',
        env: { PS1: '$ ' },
      });
      let shown = '';
      let step = 0;
      const steps: [string, () => void][] = [
        ['$ ', () => terminal.write(Buffer.from('sleep 1000; echo "code $?"\n'))],
        ['sleep 1000', () => setTimeout(() => terminal.write(Buffer.from('\x03')), 200)],
        ['^C', () => terminal.write(Buffer.from('echo again; sleep 1001\n'))],
        ['\nagain', () => setTimeout(() => terminal.kill('SIGINT', { foreground: true }), 200)],
        ['$ ', () => terminal.write(Buffer.from('exit 5\n'))],
      ];
      for await (const chunk of terminal.output) {
        shown += String(chunk);
        const [wanted, act] = steps[step] ?? ['', undefined];
        if (act && shown.includes(wanted)) {
          shown = shown.slice(shown.indexOf(wanted) + wanted.length);
          step++;
          act();
        }
      }
      expect(await terminal.exited).toEqual(exited(5));
    });

    it('take no more input than the program reads', async () => {
      const terminal = await open('stty raw -echo; echo ready; sleep 0.3; head -c 200000 | tr -d "\\n" | wc -c');
      const input = Buffer.alloc(200_000, 'x');
      let sent = 0;
      let refused = 0;
      let shown = '';
      const feed = async (): Promise<void> => {
        while (sent < input.length) {
          const taken = terminal.write(input.subarray(sent));
          sent += taken;
          if (taken === 0) {
            refused++;
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
        }
      };
      let feeding: Promise<void> | undefined;
      for await (const chunk of terminal.output) {
        shown += String(chunk);
        if (shown.includes('ready')) feeding ??= feed();
      }
      await feeding;
      expect(refused).toBeGreaterThan(0);
      expect(shown.trim().split(/\s+/)).toEqual(['ready', '200000']);
    });

    it('stop the program while nobody reads', async () => {
      const terminal = await open('head -c 3000000 /dev/zero | tr "\\0" x; echo end >> written');
      await new Promise((resolve) => terminal.output.once('readable', resolve));
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(terminal.output.readableLength).toBeLessThan(1024 * 1024);
      expect((await runBash(test.runner, 'cat written')).exit).toEqual(exited(1));
      let bytes = 0;
      for await (const chunk of terminal.output) bytes += (chunk as Buffer).length;
      expect(bytes).toBe(3_000_000);
    });

    it('are hung up when their reader closes them', async () => {
      const terminal = await open('sleep 1000');
      terminal.output.destroy();
      expect(await terminal.exited).toEqual({ kind: 'signaled', signal: 'SIGHUP' });
    });

    it('say why a program cannot start', async () => {
      await expect(
        test.runner.openTerminal({ argv: ['no-such'], name: 't', columns: 80, rows: 24, term: 'x' }),
      ).rejects.toMatchObject({
        reason: 'FILE_NOT_FOUND',
      });
    });
  });

  describe('files', () => {
    /** By a command, since the session alone may look into its home. */
    const look = async (command: string): Promise<string> => (await runBash(test.runner, command)).stdout.trim();

    it('come and go through pipes, whole', async () => {
      const content = Buffer.alloc(5_000_000, 'abcdefghij');
      const writer = await test.runner.openWrite('new/dir/file.bin', { sizeBytes: content.length });
      writer.data.write(content);
      expect(await look('ls new/dir/file.bin')).toBe('');
      expect(await writer.commit()).toEqual({
        path: `${test.runner.workspace}/new/dir/file.bin`,
        sizeBytes: content.length,
      });
      expect(await look('stat -c %a new/dir/file.bin')).toBe('600');

      const { info, data } = await test.runner.openRead('new/dir/file.bin', { offset: 10, length: 4_000_000 });
      const chunks: Buffer[] = [];
      for await (const chunk of data) chunks.push(chunk as Buffer);
      expect(info).toMatchObject({ name: 'file.bin', sizeBytes: content.length, isFile: true });
      expect(Buffer.concat(chunks).equals(content.subarray(10, 4_000_010))).toBe(true);
    });

    it('of other lengths than announced, aborted or refused leave nothing', async () => {
      for (const sizeBytes of [10, 1]) {
        const writer = await test.runner.openWrite('wrong/size', { sizeBytes });
        writer.data.write('12345');
        await expect(writer.commit()).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
      }
      const writer = await test.runner.openWrite('wrong/aborted');
      writer.data.write('12345');
      await writer.abort();
      await writer.abort();
      expect(await look('ls -A wrong')).toBe('');
      await expect(test.runner.openWrite('../out')).rejects.toMatchObject({ reason: 'PATH_OUTSIDE_WORKSPACE' });
      await expect(test.runner.openWrite('wrong')).rejects.toMatchObject({
        reason: 'PATH_WRONG_KIND',
        message: 'Path is not a file: wrong',
      });
      await expect(test.runner.openRead('missing')).rejects.toMatchObject({
        reason: 'FILE_NOT_FOUND',
        message: 'File not found: missing',
      });
    });

    it('that nobody reads on are let go', async () => {
      for (let round = 0; round < 300; round++) {
        const { data } = await test.runner.openRead('new/dir/file.bin');
        data.destroy();
      }
      const { data } = await test.runner.openRead('new/dir/file.bin');
      let bytes = 0;
      for await (const chunk of data) bytes += (chunk as Buffer).length;
      expect(bytes).toBe(5_000_000);
    });

    it('belong to the session and to nobody else', async () => {
      expect(lstatSync(test.home).mode & 0o777).toBe(0o700);
      const [owner, uid] = (await look('stat -c %u new/dir/file.bin; id -u')).split('\n');
      expect(owner).toBe(uid);
      if (kind === 'bwrap-uid' || kind === 'uid') expect(lstatSync(test.home).uid).toBe(TEST_UID);
    });
  });

  describe('Python', () => {
    it('is a virtual environment over the ship’s, in which pip works without flags', async () => {
      const { stdout } = await runBash(test.runner, 'python3 -c "import sys; print(sys.prefix)"; which python pip');
      const venv = `${test.runner.home}/.venv`;
      expect(stdout.trim().split('\n')).toEqual([venv, `${venv}/bin/python`, `${venv}/bin/pip`]);
      const package_ = `
        mkdir -p pkg && cd pkg && printf 'x = 42\\n' > shipyard_probe.py &&
        python3 - <<'END'
import zipfile
meta = {"METADATA": "Metadata-Version: 2.1\\nName: shipyard-probe\\nVersion: 1.0\\n", "WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n", "RECORD": ""}
with zipfile.ZipFile("shipyard_probe-1.0-py3-none-any.whl", "w") as wheel:
    wheel.write("shipyard_probe.py")
    for name, text in meta.items():
        wheel.writestr("shipyard_probe-1.0.dist-info/" + name, text)
END
        cd .. && pip install --no-index pkg/shipyard_probe-1.0-py3-none-any.whl && python3 -c 'import shipyard_probe; print(shipyard_probe.x, shipyard_probe.__file__)'`;
      const installed = await runBash(test.runner, package_);
      expect({ ...installed, stdout: installed.stdout.trim().split('\n').at(-1) }).toMatchObject({
        exit: exited(0),
        stdout: expect.stringMatching(new RegExp(`^42 ${venv}/lib/`)) as string,
      });
    });
  });

  if (kind !== 'none') {
    it('takes new namespaces and the kernel’s log from the session', async () => {
      const { stdout } = await runBash(
        test.runner,
        'for act in "unshare -U true" "unshare -r true" "dmesg"; do $act 2>&1 | grep -c "not permitted"; done; ' +
          'grep Seccomp: /proc/self/status',
      );
      expect(stdout.replace(/\s+/g, ' ')).toBe('1 1 1 Seccomp: 2 ');
    });
  }

  if (sandboxed) {
    describe('walls', () => {
      it('show nothing of the host but what is needed', async () => {
        const { stdout } = await runBash(
          test.runner,
          'ls /; ls -d /root /work /home/* /etc/shadow /run/* 2>/dev/null; cat /proc/1/cmdline',
        );
        expect(stdout).not.toMatch(/root|work\b|shadow|shipyard-runner/);
        expect(stdout).toContain('/home/user');
        const { stdout: names } = await runBash(
          test.runner,
          'hostname; cut -d: -f1 /etc/passwd; ps -e -o comm= | sort -u | tr "\\n" " "',
        );
        expect(names).toMatch(/^ship\n/);
        expect(names).not.toMatch(/node|jest/);
      });

      it('cannot be written, mounted over or left', async () => {
        const attempts = [
          'touch /x', 'touch /usr/x', 'touch /etc/x', 'touch /opt/shipyard/x', 'mount -t tmpfs none /mnt', 'unshare -U true', 'unshare -n true',
          'chroot / true', 'cat /proc/2/environ', 'ls /proc/2/fd', 'ls /proc/2/root', 'nsenter -t 1 -m true',
        ]; // prettier-ignore
        for (const attempt of attempts) {
          const { exit } = await runBash(test.runner, `${attempt} 2>/dev/null`);
          expect([attempt, exit]).not.toEqual([attempt, exited(0)]);
        }
        // The namespace's init takes no signal from within; the runner, being the same user, ignores the gentle ones.
        await runBash(test.runner, 'kill -9 1; kill -TERM 2; kill -INT 2; kill -HUP 2');
        expect((await runBash(test.runner, 'echo alive')).stdout).toBe('alive\n');
      });

      it('leave the session without any privilege', async () => {
        const { stdout } = await runBash(
          test.runner,
          'grep -E "^(CapPrm|CapEff|CapAmb|NoNewPrivs|Seccomp):" /proc/self/status; cat /proc/self/oom_score_adj',
        );
        expect(stdout.replace(/\t/g, ' ')).toBe(
          `CapPrm: ${'0'.repeat(16)}\nCapEff: ${'0'.repeat(16)}\nCapAmb: ${'0'.repeat(16)}\nNoNewPrivs: 1\nSeccomp: 2\n500\n`,
        );
      });

      it('keep /tmp private, writable and shared by the session’s own processes', async () => {
        await runBash(test.runner, 'echo mine > /tmp/shipyard-test-file; : > /dev/shm/x; : > /var/tmp/x');
        expect((await runBash(test.runner, 'cat /tmp/shipyard-test-file')).stdout).toBe('mine\n');
        expect(existsSync('/tmp/shipyard-test-file')).toBe(false);
      });

      it('bound what /tmp and its kin take of memory', async () => {
        await using small = await startTestRunner(kind, { tmpBytes: 16 * 1024 * 1024 });
        const { stdout } = await runBash(
          small.runner,
          'for d in /tmp /var/tmp /dev/shm; do head -c 64M /dev/zero > $d/fill 2>/dev/null; stat -c %s $d/fill; done',
        );
        expect(stdout.trim().split('\n').map(Number)).toEqual([16, 2, 2].map((mib) => mib * 1024 * 1024));
      });
    });
  }
});
