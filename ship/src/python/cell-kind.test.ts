import type { MimeItem } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import { testPythons } from './testing/local-session-runner.js';
import { TestSessions } from './testing/test-session.js';

const COMPLETED = { $case: 'completed', value: {} };
const RAISED = { $case: 'raised', value: {} };

const toShown = ({ mimeType, content }: MimeItem) =>
  `${mimeType}: ${content?.$case === 'text' ? content.value : content?.$case}`;

describe.each(testPythons())('a Python cell, %s', (_name, python) => {
  let sessions: TestSessions;
  beforeAll(() => (sessions = new TestSessions({ python })));
  afterAll(() => sessions.close());

  it('says what started it, prints, and gives the value of its last expression', async () => {
    const { log, end } = await sessions.run('print("hello")\n6 * 7');

    expect(log.events[0]).toMatchObject({
      $case: 'started',
      value: { pid: 0, kernelGeneration: 1, byteExact: true, lossless: true },
    });
    expect(log.text()).toBe('hello\n');
    expect(log.of('result')).toMatchObject([
      { items: [{ mimeType: 'text/plain', content: { $case: 'text', value: '42' } }], executionCount: 1 },
    ]);
    expect(end).toMatchObject({ outcome: COMPLETED, statePreserved: true, executionCount: 1 });
  });

  it('uses every lever of the launcher with the ipykernel that is installed', async () => {
    await sessions.kernels.start('one');
    const kernel = await sessions.kernels.acquire('one', { generation: 0, signal: new AbortController().signal });
    expect(kernel.missingLevers).toEqual({});
  });

  it('keeps variables for the next cell', async () => {
    await sessions.run('x = 5');
    const { log } = await sessions.run('x');
    expect(log.of('result')[0]?.items[0]?.content).toEqual({ $case: 'text', value: '5' });
  });

  it('works in the workspace', async () => {
    const { log } = await sessions.run('import os; print(os.getcwd(), end="")');
    expect(log.text()).toBe(sessions.runner().workspace);
  });

  it('reports a syntax error as an exception, with its traceback', async () => {
    const { log, end } = await sessions.run('this is no Python');
    expect(end).toMatchObject({ outcome: RAISED, statePreserved: true });
    expect(log.of('error')).toMatchObject([{ name: 'SyntaxError', traceback: [expect.any(String)] }]);
  });

  it('reports an exception after what was printed before it, and runs the next cell', async () => {
    const { log, end } = await sessions.run('print("before"); 1 / 0');
    expect(end.outcome).toEqual(RAISED);
    expect(log.text()).toBe('before\n');
    expect(log.of('error')).toMatchObject([{ name: 'ZeroDivisionError', value: 'division by zero' }]);
    expect((await sessions.run('1')).end.outcome).toEqual(COMPLETED);
  });

  it.each([
    ['deletes', 'import sys; print("before"); del sys.stdout, sys.stderr'],
    ['closes', 'import sys, io; print("before"); sys.stdout = io.StringIO(); sys.stdout.close()'],
    ['breaks', 'import sys; print("before"); sys.stderr = 42'],
  ])('ends when its code %s its streams, and the next has them again', async (_, code) => {
    const { log, end } = await sessions.run(code);
    expect(end).toMatchObject({ outcome: COMPLETED, statePreserved: true });
    expect(log.text()).toBe('before\n');
    expect((await sessions.run('print("again")')).log.text()).toBe('again\n');
  });

  it('reports an exception with a text that is no UTF-8 by its own name', async () => {
    const { log, end } = await sessions.run('raise ValueError("half \\ud800 of a pair")');
    expect(end).toMatchObject({ outcome: RAISED, statePreserved: true });
    expect(log.of('error')).toMatchObject([{ name: 'ValueError' }]);
    expect(log.of('error')[0]?.value).toMatch(/^half .+ of a pair$/);
  });

  it.each([
    ['ends at the line that was wrong', 'import sys\nsys.stdout.write(3)', 'sys.stdout.write(3)'],
    [
      'leads through a pool to the function that failed',
      'from concurrent.futures import ThreadPoolExecutor\ndef failing(): 1 / 0\nThreadPoolExecutor().submit(failing).result()',
      'in failing()',
    ],
  ])('shows a traceback that %s', async (_, code, last) => {
    const { log } = await sessions.run(code);
    const trace = (log.of('error')[0]?.traceback.join('\n') ?? '').replaceAll(/\u001b\[[0-9;]*m/g, '');
    expect(trace).toContain(last);
    // Ours is where a pool was handed the job, and never behind the code's own last line.
    expect(trace.lastIndexOf('shipyard_kernel')).toBeLessThan(trace.lastIndexOf(last));
  });

  it('takes sys.exit for an exception', async () => {
    const { end } = await sessions.run('import sys; sys.exit(3)');
    expect(end).toMatchObject({ outcome: RAISED, statePreserved: true });
  });

  it('does not count a silent cell and gives no value for it', async () => {
    const before = sessions.kernels.get('one')?.executionCount;
    const { log, end } = await sessions.run('print("printed"); 1', { silent: true });
    expect(log.text()).toBe('printed\n');
    expect(log.of('result')).toEqual([]);
    expect(end).toMatchObject({ outcome: COMPLETED, executionCount: 0 });
    expect(sessions.kernels.get('one')?.executionCount).toBe(before);
  });

  it('awaits at the top level', async () => {
    const { log, end } = await sessions.run('import asyncio; await asyncio.sleep(0.01); print("awaited")');
    expect(end.outcome).toEqual(COMPLETED);
    expect(log.text()).toBe('awaited\n');
  });

  it('shows plain values as the code wants them shown', async () => {
    const shown = async (code: string) => (await sessions.run(code)).log.of('result')[0]?.items.map(toShown);
    const formatter = 'formatters = get_ipython().display_formatter.formatters';
    expect(await shown('[1, None, "a"]')).toEqual(["text/plain: [1, None, 'a']"]);
    expect(await shown('None')).toBeUndefined();
    expect(await shown('class Int(int):\n  def _repr_html_(self): return "own"\nInt(1)')).toContain('text/html: own');
    expect(await shown(`${formatter}; formatters["text/html"].for_type(int, lambda n: f"<b>{n}</b>"); 7`)).toEqual([
      'text/plain: 7',
      'text/html: <b>7</b>',
    ]);
    expect(
      await shown(`${formatter}; formatters["text/html"].for_type_by_name("builtins", "str", str.upper); "a"`),
    ).toEqual(["text/plain: 'a'", 'text/html: A']);
    expect(await shown('True')).toEqual(['text/plain: True', 'text/html: <b>True</b>']);
    expect(
      await shown(`${formatter}; formatters["text/plain"].for_type(int, lambda n, p, cycle: p.text("n")); 7`),
    ).toEqual(['text/plain: n', 'text/html: <b>7</b>']);
    await sessions.run(
      `${formatter}; formatters["text/plain"].pop(int); formatters["text/html"].pop(int); formatters["text/html"].pop(str)`,
    );
    expect(await shown('7')).toEqual(['text/plain: 7']);
    const display = 'display = get_ipython().display_formatter; display';
    await sessions.run(`${display}.mimebundle_formatter.for_type(str, lambda s, **options: {"text/x": "y"})`);
    expect(await shown('"a"')).toContain('text/x: y');
    await sessions.run(`${display}.mimebundle_formatter.pop(str)`);
    await sessions.run(`${display}.ipython_display_formatter.for_type(str, lambda s: print("shown"))`);
    expect(await shown('"a"')).toBeUndefined();
    await sessions.run(`${display}.ipython_display_formatter.pop(str)`);
    expect(await shown(`${display}.formatters.clear(); 7`)).toBeUndefined();
    await sessions.kernels.endSession('one');
  });

  it('tells the count of a cell that raises or dies by its own number', async () => {
    const counting = { sessionId: 'counting' };
    await sessions.run('1', counting);
    const raised = await sessions.run('1 / 0', counting);
    expect([raised.log.of('error')[0]?.executionCount, raised.end.executionCount]).toEqual([2, 2]);
    const silent = await sessions.run('1 / 0', { ...counting, silent: true });
    expect([silent.log.of('error')[0]?.executionCount, silent.end.executionCount]).toEqual([0, 0]);
    expect((await sessions.run('import os; print("x", flush=True); os._exit(3)', counting)).end.executionCount).toBe(3);
    await sessions.kernels.endSession('counting');
  });

  it.each([
    ['a number that JSON has not', '{"application/json": {"v": float("nan")}, "text/plain": "x"}', '{"v": "nan"}'],
    ['a key that is no text', '{"application/json": {(1, 2): 3}, "text/plain": "x"}', '{"(1, 2)": 3}'],
    [
      'both, and half a surrogate',
      '{"application/json": {"v": float("nan"), "s": "\\ud800"}, "text/plain": "x"}',
      undefined,
    ],
  ])('shows a display with %s', async (_what, data, json) => {
    const { log, end } = await sessions.run(`display(${data}, raw=True)`);
    expect(end.outcome).toEqual(COMPLETED);
    const item = log.of('display')[0]?.items.find(({ mimeType }) => mimeType === 'application/json');
    expect(item).toBeDefined();
    if (json) expect(JSON.parse(toShown(item!).replace('application/json: ', ''))).toEqual(JSON.parse(json));
  });

  it('goes on in the context that the cells before it left, and in a task', async () => {
    await sessions.run('import contextvars, asyncio; v = contextvars.ContextVar("v"); _ = v.set("kept")');
    const { log } = await sessions.run('print(v.get(), asyncio.current_task() is not None)');
    expect(log.text()).toBe('kept True\n');
  });

  it('shows rich values, updates them and clears them', async () => {
    const { log } = await sessions.run(
      'from IPython.display import display, HTML, JSON, clear_output\n' +
        'shown = display(HTML("<b>one</b>"), display_id="here")\n' +
        'shown.update(HTML("<b>two</b>"))\nclear_output(wait=True)\ndisplay(JSON({"a": [1]}))',
    );
    expect(log.events.map((event) => event.$case)).toEqual([
      'started',
      'display',
      'updateDisplay',
      'clearOutput',
      'display',
    ]);
    expect(log.of('display')[0]).toMatchObject({ displayId: 'here', metadataJson: '{}' });
    expect(log.of('display')[0]?.items).toContainEqual({
      mimeType: 'text/html',
      content: { $case: 'text', value: '<b>one</b>' },
    });
    expect(log.of('clearOutput')).toEqual([{ wait: true }]);
    expect(log.of('display')[1]?.items).toContainEqual({
      mimeType: 'application/json',
      content: { $case: 'text', value: '{"a":[1]}' },
    });
  });

  it.each([
    ['data', "display({'application/json': x}, raw=True)"],
    ['metadata', "display({'text/plain': ''}, metadata={'x': x}, raw=True)"],
    ['a message of a widget', "from comm import create_comm; create_comm('t', data={'x': x})"],
  ])('says so where JSON is nested too deeply in %s, and goes on', async (_where, show) => {
    const deep = 'import sys; sys.setrecursionlimit(50000)\nx = 1\nfor _ in range(6000): x = [x]\n';
    const { end } = await sessions.run(`${deep}${show}`);
    expect(end.outcome.$case).toBe('completed');
    const { log } = await sessions.run('print(len(x))');
    expect(log.text()).toBe('1\n');
  });

  it('takes a display of very many types and of a very long name', async () => {
    const { log } = await sessions.run(
      "display({f'a/{i}': 'x' * 100 for i in range(30_000)}, raw=True, display_id='d' * 3_000_000)",
    );
    const [shown] = log.of('display');
    expect(shown?.items).toHaveLength(256);
    expect(shown?.displayId).toMatch(/^sha256:/);
  });

  it('shows figures as PNG bytes, and has plt without an import', async () => {
    const before = await sessions.run('import sys; print("matplotlib" in sys.modules, "plt" in dir(), end="")');
    expect(before.log.text()).toBe('False False');
    const { log, end } = await sessions.run('plt.plot([1, 2]); plt.title("a")');
    expect(end.outcome).toEqual(COMPLETED);
    expect(log.text('stderr')).toBe('');
    const png = log.of('display')[0]?.items.find((item) => item.mimeType === 'image/png')?.content;
    expect(png?.$case === 'data' && png.value.subarray(1, 4).toString()).toBe('PNG');
  });

  it('has the other names of the original kernel, unless the cell binds them itself', async () => {
    const { log } = await sessions.run(
      'print(os.sep, shutil.which("sh") is not None, type(font_prop).__name__, font_path[-4:], cache_dir[-11:], fm.__name__)',
    );
    expect(log.text()).toBe('/ True FontProperties .ttc /matplotlib matplotlib.font_manager\n');
    const own = await sessions.run('fm = 3\nprint(fm)');
    expect(own.log.text()).toBe('3\n');
  });

  it('gives what a question mark asks for as a display', async () => {
    const { log } = await sessions.run('len?');
    expect(JSON.stringify(log.of('display'))).toContain('Return the number of items in a container');
  });

  it('reads every cell by what the cells before it changed, also one that is the same again', async () => {
    const cell = 'again 7';
    expect((await sessions.run(cell)).end.outcome).toEqual(RAISED);
    await sessions.run('get_ipython().register_magic_function(lambda line: int(line) + 1, magic_name="again")');
    expect((await sessions.run(cell)).log.of('result')[0]?.items[0]?.content).toMatchObject({ value: '8' });
    await sessions.run('again = "%s"');
    expect((await sessions.run(cell)).end.outcome).toEqual(RAISED);
    const nested = [
      'shell = get_ipython()',
      'for known in (False, True):',
      '    if known: shell.register_magic_function(lambda line: print(line), magic_name="say")',
      '    shell.run_cell("say hello")',
    ];
    expect((await sessions.run(nested.join('\n'))).log.text()).toBe('hello\n');
  });

  it.each([
    ['x = %pwd\nx', 'workspace'],
    ['x = \\\n  %pwd\nx', 'workspace'],
    ['x = !echo hello\nx', 'hello'],
    ['for n in (1, 2):\n  %cd -q .\n%pwd', 'workspace'],
    ['if True:\n  !true\n%pwd', 'workspace'],
    [',max a b', "'b'"],
    [';str a b', "'a b'"],
    ['/str 7', "'7'"],
    ['%pwd', 'workspace'],
    ['7 % 4', '3'],
    ['"%d!" % 5', '5!'],
  ])('knows the syntax of IPython from that of Python: %j', async (code, shown) => {
    const { log } = await sessions.run(code);
    expect(log.of('error')).toEqual([]);
    expect(JSON.stringify(log.of('result'))).toContain(shown);
  });

  it('reads a cell by a transformer of tokens that the code has added', async () => {
    await sessions.run(
      'from IPython.core.inputtransformer2 import TokenTransformBase\n' +
        'class Answer(TokenTransformBase):\n' +
        '  @classmethod\n  def find(cls, lines):\n' +
        '    for line in lines:\n      for token in line:\n        if token.string == "answer": return cls(token.start)\n' +
        '  def transform(self, lines): return ["42\\n"]\n' +
        'get_ipython().input_transformer_manager.token_transformers.append(Answer)',
    );
    expect(JSON.stringify((await sessions.run('answer')).log.of('result'))).toContain('42');
    await sessions.run('get_ipython().input_transformer_manager.token_transformers.pop()');
  });

  it('tells of wrong indentation by the line of the cell', async () => {
    const { log } = await sessions.run('if 1:\n    1\n  2');
    expect(log.of('error')[0]?.name).toBe('IndentationError');
    expect(JSON.stringify(log.of('error'))).toMatch(/In ?\[\d+\].*line 3/);
  });

  it('runs shell lines and still lets the user import what the kernel itself does without', async () => {
    const { log, end } = await sessions.run('!echo from the shell\nimport jedi, debugpy\nprint("imported")');
    expect(end.outcome).toEqual(COMPLETED);
    expect(log.text().replaceAll('\r', '')).toBe('from the shell\nimported\n');
  });

  it('leaves the names of its own modules to the user', async () => {
    const names = 'module_store kernel_launcher session_runner';
    const code = `import sys, importlib.util\nfor name in '${names}'.split(): print(name in sys.modules, importlib.util.find_spec(name))`;
    const { log } = await sessions.run(code);
    expect(log.text()).toBe('False None\n'.repeat(3));
  });

  it('gives dateutil, without which it starts, to jupyter_client and to the user', async () => {
    const code = [
      'import datetime; from jupyter_client import jsonutil',
      'print(jsonutil.parse_date("2026-01-02T03:04:05Z").year, jsonutil.json_default(datetime.datetime(2026, 1, 2))[:10])',
      'import dateutil.parser, dateutil.tz; print(dateutil.parser.parse("2 Jan 2026").day, dateutil.tz.UTC)',
    ];
    const { log, end } = await sessions.run(code.join('\n'));
    expect(end.outcome).toEqual(COMPLETED);
    expect(log.text()).toBe('2026 2026-01-02\n2 tzutc()\n');
  });

  it('asks for input and getpass, and prints before it asks', async () => {
    const { log, work } = await sessions.begin('print("first"); name = input("who? "); print("hi", name)', {
      allowStdin: true,
    });
    expect(await log.next('inputRequest')).toMatchObject({ value: { prompt: 'who? ', password: false } });
    expect(log.text()).toBe('first\n');
    work.answerInput?.(log.lastSequence, 'Ada');
    expect((await work.ended).outcome).toEqual(COMPLETED);
    expect(log.text()).toBe('first\nhi Ada\n');

    const secret = await sessions.begin('import getpass; print(len(getpass.getpass()))', { allowStdin: true });
    expect(await secret.log.next('inputRequest')).toMatchObject({ value: { password: true } });
    secret.work.answerInput?.(secret.log.lastSequence, 'four');
    await secret.work.ended;
    expect(secret.log.text()).toBe('4\n');
  });

  it('raises where input is asked and nobody may answer', async () => {
    const { log, end } = await sessions.run('input()');
    expect(end.outcome).toEqual(RAISED);
    expect(log.of('error')).toMatchObject([{ name: 'StdinNotImplementedError' }]);
  });

  it('refuses to run on another generation than the one demanded', async () => {
    await expect(sessions.begin('1', { kernelGeneration: 77 })).rejects.toMatchObject({ reason: 'KERNEL_STATE_LOST' });
    const generation = sessions.kernels.get('one')?.generation ?? 0;
    expect((await sessions.run('1', { kernelGeneration: generation })).end.outcome).toEqual(COMPLETED);
  });

  it('keeps sessions apart', async () => {
    await sessions.run('mine = 1');
    const { log } = await sessions.run('print("mine" in dir())', { sessionId: 'two Ünï/..' });
    expect(log.text()).toBe('False\n');
    expect(sessions.kernels.list().map((kernel) => kernel.sessionId)).toEqual(['one', 'two Ünï/..']);
  });
});
