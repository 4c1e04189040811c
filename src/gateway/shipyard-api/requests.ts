/** The documented request bodies: fields, defaults and rules of the original. */
import {
  boolean,
  dictionary,
  float,
  integer,
  INVALID,
  model,
  nullable,
  string,
  stringDictionary,
  type Check,
} from './json/validation.js';

/** A hundred years; what comes after overflows dates. */
const MAX_TTL_SECONDS = 3_155_760_000;
const MAX_INT32 = 2 ** 31 - 1;

const ttl = integer({ greaterThan: 0, atMost: MAX_TTL_SECONDS });

/** The original's units in either case, and beside them those of Kubernetes, as it writes them. */
const MEMORY = /^([0-9]+)\s*([KMG]i|[KMGkmg][Bb]?)?$/;

/** Trimmed, and but for units of Kubernetes in lower case. */
const memory: Check<string> = (input, loc, errors) => {
  const text = string(input, loc, errors);
  if (text === INVALID) return INVALID;
  const [, count, unit = ''] = MEMORY.exec(text.trim()) ?? [];
  if (Number(count) > 0) return `${count}${unit.endsWith('i') ? unit : unit.toLowerCase()}`;
  const allowed =
    'a whole number above 0, alone (bytes) or followed by k, kb, m, mb, g or gb, or by Ki, Mi or Gi, such as 512m';
  errors.push({
    type: 'value_error',
    loc,
    msg: `Value error, memory must be ${allowed}`,
    input,
    ctx: { error: {} },
  });
  return INVALID;
};

const spec = model(
  {
    cpus: { check: nullable(float({ greaterThan: 0 })), fallback: null },
    memory: { check: nullable(memory), fallback: null },
  },
  { forbidExtra: true },
);

export const createShipBody = model(
  {
    ttl: { check: ttl },
    spec: { check: nullable(spec), fallback: null },
    max_session_num: { check: integer({ greaterThan: 0, atMost: MAX_INT32 }), fallback: 1 },
  },
  { forbidExtra: true },
);

export const extendTtlBody = model({ ttl: { check: ttl } }, { forbidExtra: true });

export const execBody = model(
  { type: { check: string }, payload: { check: nullable(dictionary), fallback: null } },
  { forbidExtra: true },
);

// What follows is of the original's Ship, which ignores keys it does not know.
const IGNORE = { forbidExtra: false };
const path = { check: string };
const encoding = { check: string, fallback: 'utf-8' };

export const createFilePayload = model(
  { path, content: { check: string, fallback: '' }, mode: { check: integer(), fallback: 0o644 } },
  IGNORE,
);
export const readFilePayload = model(
  {
    path,
    encoding,
    offset: { check: nullable(integer()), fallback: null },
    limit: { check: nullable(integer()), fallback: null },
  },
  IGNORE,
);
export const writeFilePayload = model(
  { path, content: { check: string }, mode: { check: string, fallback: 'w' }, encoding },
  IGNORE,
);
export const editFilePayload = model(
  {
    path,
    old_string: { check: string },
    new_string: { check: string },
    replace_all: { check: boolean, fallback: false },
    encoding,
  },
  IGNORE,
);
export const deleteFilePayload = model({ path }, IGNORE);
export const listDirPayload = model(
  { path: { check: string, fallback: '.' }, show_hidden: { check: boolean, fallback: false } },
  IGNORE,
);

export const shellExecPayload = model(
  {
    command: { check: string },
    cwd: { check: nullable(string), fallback: null },
    env: { check: nullable(stringDictionary), fallback: null },
    timeout: { check: nullable(integer()), fallback: 30 },
    shell: { check: boolean, fallback: true },
    background: { check: boolean, fallback: false },
  },
  IGNORE,
);

export const ipythonExecPayload = model(
  {
    code: { check: string },
    kernel_id: { check: nullable(string), fallback: null },
    timeout: { check: integer(), fallback: 30 },
    silent: { check: boolean, fallback: false },
  },
  IGNORE,
);

/** For what takes no fields. */
export const emptyPayload = model({}, IGNORE);
