/**
 * What a user of a ship sees, told once, and run over every way that can express it. A scenario is given a session of its
 * own in a ship that all scenarios share.
 */
import { WayError, type Ability, type SessionWay } from './ways/way.js';

/** Jest's own comparison: values of fetch come from another realm, which node:assert takes for another type. */
const same = (actual: unknown, expected: unknown): void => expect(actual).toEqual(expected);

export interface Scenario {
  readonly name: string;
  readonly needs: Ability;
  run(session: SessionWay): Promise<void>;
}

/** The call fails with the ship's own status and text, whatever the way wraps around them. */
async function fails(call: Promise<unknown>, status: number, message: RegExp): Promise<void> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof WayError)) throw new Error('not the failure that was due', { cause: error });
  expect([error.status, error.message]).toEqual([status, expect.stringMatching(message)]);
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'a cell answers what it printed and the value of its last expression',
    needs: 'cells',
    async run(session) {
      same(await session.runCell('print(1)\n2'), {
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
      same([text, executionCount], ['42', 2]);
    },
  },
  {
    name: 'an exception is a result, with what was printed before it',
    needs: 'cells',
    async run(session) {
      const { success, text, error } = await session.runCell("print('before')\n1 / 0");
      same([success, text], [false, 'before']);
      expect(error).toContain('ZeroDivisionError: division by zero');
    },
  },
  {
    name: 'a syntax error is an error',
    needs: 'cells',
    async run(session) {
      const { success, error } = await session.runCell('for');
      same([success, error.includes('SyntaxError')], [false, true]);
    },
  },
  {
    name: 'sys.exit in a cell is an ordinary error and the kernel lives on',
    needs: 'cells',
    async run(session) {
      await session.runCell('kept = 1');
      same((await session.runCell('import sys; sys.exit(3)')).success, false);
      same((await session.runCell('kept')).text, '1');
    },
  },
  {
    name: 'a figure comes back as a PNG',
    needs: 'cells',
    async run(session) {
      const { images, success, error } = await session.runCell(
        'import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()',
        { timeoutSeconds: 120 },
      );
      same({ success, error, images: images.length }, { success: true, error: '', images: 1 });
      same(
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
      same((await session.runCell('import sys; "matplotlib" in sys.modules')).text, 'False');
      same(
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
      same([text, executionCount], ['loud', null]);
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
      same([success, text], [false, 'begun']);
      same((await session.runCell('kept')).text, '7');
    },
  },
  {
    name: 'output of a child process lies in its cell',
    needs: 'cells',
    async run(session) {
      same(
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
      same((await session.runCell('import os; os._exit(5)')).success, false);
      const { success, error } = await session.runCell('gone');
      same([success, error.includes('NameError')], [false, true]);
    },
  },
  {
    name: 'a cell works in the workspace',
    needs: 'cells',
    async run(session) {
      await session.runCell('open("from-python.txt", "w").write("hello")');
      same(await session.readFile('from-python.txt'), 'hello');
    },
  },
  {
    name: 'a command answers its exit code, stdout and stderr apart',
    needs: 'commands',
    async run(session) {
      same(await session.runCommand('echo out; echo err >&2; exit 3'), {
        exitCode: 3,
        stdout: 'out',
        stderr: 'err',
      });
    },
  },
  {
    name: 'a command knows the name of its user',
    needs: 'commands',
    async run(session) {
      const { exitCode, stdout } = await session.runCommand('test "$(id -u)" -ge 1000 && whoami | wc -w');
      same({ exitCode, stdout: stdout.trim() }, { exitCode: 0, stdout: '1' });
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
      same(stdout, 'hi er');
    },
  },
  {
    name: 'heredocs and many lines work',
    needs: 'commands',
    async run(session) {
      same(
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
      same(
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
      same(await session.editFile('notes/a.txt', 'two', '2'), 1);
      same((await session.runCommand('cat notes/a.txt | od -An -c | tr -d " \\n"')).stdout, 'one\\r\\n2\\r\\n');
      await session.writeFile('notes/B.txt', 'ü');
      same(await session.listNames('notes'), ['a.txt', 'B.txt']);
      same(await session.readFile('notes/B.txt'), 'ü');
      await session.deleteFile('notes');
      await fails(session.readFile('notes/a.txt'), 404, /^File not found: notes\/a\.txt$/);
    },
  },
  {
    name: 'paths out of the workspace are refused',
    needs: 'text-files',
    async run(session) {
      await session.runCommand('ln -s /etc/passwd link; ln -s / root');
      for (const path of ['../x', '/etc/passwd', 'link', 'root/etc/passwd']) {
        await fails(session.readFile(path), 403, /^Access denied: path must be within workspace/);
        await fails(session.writeFile(path, 'x'), 403, /^Access denied: path must be within workspace/);
      }
    },
  },
  {
    name: 'a file goes up and comes down byte by byte, whatever its name',
    needs: 'file-streams',
    async run(session) {
      const data = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7) % 256));
      await session.upload?.('上传/图 "1".bin', data);
      expect(data.equals((await session.download?.('上传/图 "1".bin')) ?? Buffer.alloc(0))).toBe(true);
      same((await session.runCommand('wc -c < "上传/图 \\"1\\".bin"')).stdout, '300000');
      await fails(session.download?.('none.bin') ?? Promise.resolve(), 404, /^File not found/);
    },
  },
];
