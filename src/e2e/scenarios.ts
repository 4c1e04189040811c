/**
 * What a user of a ship sees, told once, and run over every way that can express it. A scenario is given a session of its
 * own in a ship that all scenarios share.
 */
import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict';
import { WayError, type Ability, type SessionWay } from './ways/way.js';

export interface Scenario {
  readonly name: string;
  readonly needs: Ability;
  run(session: SessionWay): Promise<void>;
}

const failsWith = (status: number, message: RegExp) => (error: unknown) => {
  ok(error instanceof WayError, `expected a failure of the call, got ${String(error)}`);
  deepStrictEqual([error.status, message.test(error.message)], [status, true], error.message);
  return true;
};

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'a cell answers what it printed and the value of its last expression',
    needs: 'cells',
    async run(session) {
      deepStrictEqual(await session.runCell('print(1)\n2'), {
        success: true,
        text: '1\n2',
        images: [],
        error: '',
        executionCount: 1,
      });
    },
  },
  {
    name: 'variables last from cell to cell',
    needs: 'cells',
    async run(session) {
      await session.runCell('x = 41');
      const { text, executionCount } = await session.runCell('x + 1');
      deepStrictEqual([text, executionCount], ['42', 2]);
    },
  },
  {
    name: 'an exception is a result, with what was printed before it',
    needs: 'cells',
    async run(session) {
      const { success, text, error } = await session.runCell("print('before')\n1 / 0");
      deepStrictEqual([success, text], [false, 'before']);
      ok(error.includes('ZeroDivisionError: division by zero'), error);
    },
  },
  {
    name: 'a syntax error is an error',
    needs: 'cells',
    async run(session) {
      const { success, error } = await session.runCell('for');
      deepStrictEqual([success, error.includes('SyntaxError')], [false, true]);
    },
  },
  {
    name: 'sys.exit in a cell is an ordinary error and the kernel lives on',
    needs: 'cells',
    async run(session) {
      await session.runCell('kept = 1');
      strictEqual((await session.runCell('import sys; sys.exit(3)')).success, false);
      strictEqual((await session.runCell('kept')).text, '1');
    },
  },
  {
    name: 'a figure comes back as a PNG',
    needs: 'cells',
    async run(session) {
      const { images, success } = await session.runCell(
        'import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()',
        { timeoutSeconds: 120 },
      );
      deepStrictEqual([success, images.length], [true, 1]);
      strictEqual(
        Buffer.from(images[0] ?? '', 'base64')
          .subarray(1, 4)
          .toString(),
        'PNG',
      );
    },
  },
  {
    name: 'the names of the original kernel are there',
    needs: 'cells',
    async run(session) {
      strictEqual((await session.runCell('import sys; "matplotlib" in sys.modules')).text, 'False');
      strictEqual(
        (await session.runCell('plt.__name__, fm.__name__, os.__name__, shutil.__name__')).text,
        "('matplotlib.pyplot', 'matplotlib.font_manager', 'os', 'shutil')",
      );
    },
  },
  {
    name: 'a silent cell prints, and neither counts nor answers a value',
    needs: 'cells',
    async run(session) {
      const { text, executionCount } = await session.runCell('print("loud")\n5', { silent: true });
      deepStrictEqual([text, executionCount], ['loud', null]);
    },
  },
  {
    name: 'a deadline stops a cell, keeps what it printed, and the next cell runs on the same state',
    needs: 'cells',
    async run(session) {
      await session.runCell('kept = 7');
      const { success, text } = await session.runCell('print("begun", flush=True)\nimport time\ntime.sleep(60)', {
        timeoutSeconds: 1,
      });
      deepStrictEqual([success, text], [false, 'begun']);
      strictEqual((await session.runCell('kept')).text, '7');
    },
  },
  {
    name: 'output of a child process lies in its cell',
    needs: 'cells',
    async run(session) {
      strictEqual(
        (await session.runCell('import os\nprint("a", flush=True)\nos.system("echo b")\nprint("c")')).text.replace(
          /\n0$/,
          '',
        ),
        'a\nb\nc',
      );
    },
  },
  {
    name: 'a kernel that dies is told, and the next cell runs on a new one',
    needs: 'cells',
    async run(session) {
      await session.runCell('gone = 1');
      strictEqual((await session.runCell('import os; os._exit(5)')).success, false);
      const { success, error } = await session.runCell('gone');
      deepStrictEqual([success, error.includes('NameError')], [false, true]);
    },
  },
  {
    name: 'a cell works in the workspace',
    needs: 'cells',
    async run(session) {
      await session.runCell('open("from-python.txt", "w").write("hello")');
      strictEqual(await session.readFile('from-python.txt'), 'hello');
    },
  },
  {
    name: 'a command answers its exit code, stdout and stderr apart',
    needs: 'commands',
    async run(session) {
      deepStrictEqual(await session.runCommand('echo out; echo err >&2; exit 3'), {
        exitCode: 3,
        stdout: 'out',
        stderr: 'err',
      });
    },
  },
  {
    name: 'a command takes its environment and its directory',
    needs: 'commands',
    async run(session) {
      await session.runCommand('mkdir -p deep/er');
      const { stdout } = await session.runCommand('echo "$GREETING $(basename "$PWD")"', {
        cwd: 'deep/er',
        env: { GREETING: 'hi' },
      });
      strictEqual(stdout, 'hi er');
    },
  },
  {
    name: 'heredocs and many lines work',
    needs: 'commands',
    async run(session) {
      strictEqual(
        (await session.runCommand("cat <<'X'\none\ntwo\nX\nif true; then echo three; fi")).stdout,
        'one\ntwo\nthree',
      );
    },
  },
  {
    name: 'shell and kernel are the same user and share /tmp',
    needs: 'commands',
    async run(session) {
      await session.runCommand('echo shared > /tmp/from-shell; id -u > uid.txt');
      strictEqual(
        (await session.runCell('print(open("/tmp/from-shell").read(), os.getuid() == int(open("uid.txt").read()))'))
          .text,
        'shared\n True',
      );
    },
  },
  {
    name: 'files are written, read, edited, listed and deleted',
    needs: 'text-files',
    async run(session) {
      await session.writeFile('notes/a.txt', 'one\r\ntwo\r\n');
      strictEqual(await session.editFile('notes/a.txt', 'two', '2'), 1);
      strictEqual((await session.runCommand('cat notes/a.txt | od -An -c | tr -d " \\n"')).stdout, 'one\\r\\n2\\r\\n');
      await session.writeFile('notes/B.txt', 'ü');
      deepStrictEqual(await session.listNames('notes'), ['a.txt', 'B.txt']);
      strictEqual(await session.readFile('notes/B.txt'), 'ü');
      await session.deleteFile('notes');
      await rejects(session.readFile('notes/a.txt'), failsWith(404, /^File not found: notes\/a\.txt$/));
    },
  },
  {
    name: 'paths out of the workspace are refused',
    needs: 'text-files',
    async run(session) {
      await session.runCommand('ln -s /etc/passwd link; ln -s / root');
      for (const path of ['../x', '/etc/passwd', 'link', 'root/etc/passwd']) {
        await rejects(session.readFile(path), failsWith(403, /^Access denied: path must be within workspace/));
        await rejects(session.writeFile(path, 'x'), failsWith(403, /^Access denied: path must be within workspace/));
      }
    },
  },
  {
    name: 'a file goes up and comes down byte by byte, whatever its name',
    needs: 'file-streams',
    async run(session) {
      const data = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7) % 256));
      await session.upload?.('上传/图 "1".bin', data);
      ok(data.equals((await session.download?.('上传/图 "1".bin')) ?? Buffer.alloc(0)));
      strictEqual((await session.runCommand('wc -c < "上传/图 \\"1\\".bin"')).stdout, '300000');
      await rejects(session.download?.('none.bin') ?? Promise.resolve(), failsWith(404, /^File not found/));
    },
  },
];
