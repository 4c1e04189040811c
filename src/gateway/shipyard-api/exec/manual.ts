/** What the types of POST /ship/{id}/exec do and take, for /openapi.json and /docs; each example is run by a test. */

export interface ExecManual {
  readonly does: string;
  /** Fields of the payload: `name`, the default where it may be left out, and what it means. */
  readonly takes: readonly string[];
  /** Keys of `data`; behind a colon, what they hold. */
  readonly gives: readonly string[];
  readonly example: Readonly<Record<string, unknown>> | null;
}

const PATH = '`path`: relative to the workspace, or absolute inside it';
const ENCODING = '`encoding` ("utf-8")';
const PROCESS = 'a `process_id` of `shell/exec` with `background` in place of {process_id}';

const MANUAL = {
  'ipython/exec': {
    does: "Runs a cell in the session's kernel, which is made with the first and keeps its variables.",
    takes: ['`code`', '`timeout` (30): seconds until it is interrupted', '`silent` (false): no results, no count'],
    gives: [
      'success',
      'output: {text, images: [{"image/png": base64}]}',
      'error: the traceback',
      'execution_count',
      'kernel_id',
    ],
    example: { code: 'x = 6 * 7\nprint(x)', timeout: 60 },
  },
  'ipython/create_kernel': {
    does: 'Starts the kernel ahead of its first cell.',
    takes: [],
    gives: ['success', 'kernel_id', 'workspace', 'message'],
    example: null,
  },
  'ipython/kernel/status': {
    does: 'Tells whether the session has a kernel, and what it does.',
    takes: [],
    gives: ['session_id', 'kernel_id', 'status', 'workspace', 'has_kernel'],
    example: null,
  },
  'ipython/kernels': {
    does: "Lists the ship's kernels.",
    takes: [],
    gives: ['kernels: [{kernel_id, status, connections}]'],
    example: null,
  },
  'ipython/kernel/shutdown': {
    does: "Ends the session's kernel; the next cell starts another, without the variables.",
    takes: [],
    gives: ['success', 'message'],
    example: null,
  },
  'shell/exec': {
    does: 'Runs a command in the workspace.',
    takes: [
      '`command`: for bash',
      '`cwd` (null): in the workspace',
      '`env` (null): names and values',
      '`timeout` (30): seconds until it is ended; null: none',
      '`shell` (true); false: the words of the command are run without a shell',
      '`background` (false): answers at once, with a `process_id`',
    ],
    gives: ['success', 'return_code', 'stdout', 'stderr', 'pid', 'process_id', 'error'],
    example: { command: 'ls -l "$NAME"', env: { NAME: '.' }, timeout: 60 },
  },
  'shell/processes': {
    does: "Lists the session's background commands.",
    takes: [],
    gives: ['processes: [{process_id, pid, command, status}]'],
    example: null,
  },
  'shell/process/{process_id}': {
    does: `Tells about one: ${PROCESS}.`,
    takes: [],
    gives: ['process_id', 'pid', 'status', 'return_code'],
    example: null,
  },
  'shell/process/{process_id}/output': {
    does: `What it has printed so far: ${PROCESS}.`,
    takes: [],
    gives: ['success', 'process_id', 'pid', 'status', 'return_code', 'stdout', 'stderr'],
    example: null,
  },
  'shell/process/{process_id}/kill': {
    does: `Ends it: ${PROCESS}.`,
    takes: [],
    gives: ['success', 'message'],
    example: null,
  },
  'shell/cwd': { does: 'Tells where commands run.', takes: [], gives: ['cwd', 'exists'], example: null },
  'fs/create_file': {
    does: 'Makes a file, and the directories above it; an older one is replaced.',
    takes: [PATH, '`content` (""): text', '`mode` (420): its permissions, as a number'],
    gives: ['success', 'message', 'path'],
    example: { path: 'notes/today.txt', content: 'one\ntwo\n' },
  },
  'fs/read_file': {
    does: 'Reads a text file, whole or some of its lines.',
    takes: [PATH, ENCODING, '`offset` (null): the first line, from 1', '`limit` (null): how many lines'],
    gives: ['content', 'path', 'size: bytes of the file'],
    example: { path: 'notes/today.txt', offset: 2, limit: 1 },
  },
  'fs/write_file': {
    does: 'Writes a text file, and makes the directories above it.',
    takes: [PATH, '`content`', '`mode` ("w"; "a" appends)', ENCODING],
    gives: ['success', 'message', 'path', 'size'],
    example: { path: 'notes/today.txt', content: 'three\n', mode: 'a' },
  },
  'fs/edit_file': {
    does: 'Replaces a piece of text, which must be there once.',
    takes: [PATH, '`old_string`', '`new_string`', '`replace_all` (false): each of them, however many', ENCODING],
    gives: ['success', 'message', 'path', 'replacements', 'size'],
    example: { path: 'notes/today.txt', old_string: 'two', new_string: 'TWO' },
  },
  'fs/list_dir': {
    does: 'Lists a directory, directories first.',
    takes: ['`path` (".")', '`show_hidden` (false): names that begin with a dot'],
    gives: ['files: [{name, path, is_file, is_dir, size, modified_time}]', 'current_path'],
    example: { path: 'notes' },
  },
  'fs/delete_file': {
    does: 'Deletes a file, or a directory with all that is in it.',
    takes: [PATH],
    gives: ['success', 'message'],
    example: { path: 'notes' },
  },
} satisfies Readonly<Record<string, ExecManual>>;

/** The types that have a name of their own; those of one process hold its id. */
export type ExecTypeName = Exclude<keyof typeof MANUAL, `${string}{process_id}${string}`>;

export const EXEC_MANUAL: Readonly<Record<string, ExecManual>> = MANUAL;

/** The manual as Markdown, for a description. */
export function execManualText(): string {
  return Object.entries(EXEC_MANUAL)
    .map(([type, { does, takes, gives }]) => {
      const payload = takes.length > 0 ? ` Payload: ${takes.join('; ')}.` : '';
      return `- **\`${type}\`** ${does}${payload} \`data\`: ${gives.join(', ')}.`;
    })
    .join('\n');
}

/** Requests to try, by type: an OpenAPI "examples" object. */
export function execExamples(): Record<string, { summary: string; value: object }> {
  return Object.fromEntries(
    Object.entries(EXEC_MANUAL)
      .filter(([type]) => !type.includes('{'))
      .map(([type, { does, example }]) => [type, { summary: does, value: { type, payload: example } }]),
  );
}
