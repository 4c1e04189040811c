/** POST /ship/{id}/exec: the original pasted `type` into a URL of Ship; here a table says what there is. */
import { isStatusError } from '../../../../proto/rpc/status-error.js';
import { ApiError, shipDetail } from '../api-error.js';
import { checkBody, type Body } from '../json/body.js';
import { INVALID, validationBody, type ValidationItem } from '../json/validation.js';
import { execBody } from '../requests.js';
import type { ExecAnswer, ExecCall, ExecType } from './call.js';
import { accessFailure, execFailure } from './failure.js';
import { createFile, deleteFile, editFile, listDir, readFile, writeFile } from './files.js';
import { createKernel, ipythonExec, kernelStatus, listKernels, shutdownKernel } from './ipython.js';
import type { ExecTypeName } from './manual.js';
import { listProcesses, processType, workingDirectory } from './processes.js';
import { shellExec } from './shell.js';

/** Each type that the manual tells of. */
const TYPES: Readonly<Record<ExecTypeName, ExecType>> = {
  'fs/create_file': createFile,
  'fs/read_file': readFile,
  'fs/write_file': writeFile,
  'fs/edit_file': editFile,
  'fs/delete_file': deleteFile,
  'fs/list_dir': listDir,
  'shell/exec': shellExec,
  'shell/processes': listProcesses,
  'shell/cwd': workingDirectory,
  'ipython/exec': ipythonExec,
  'ipython/create_kernel': createKernel,
  'ipython/kernel/status': kernelStatus,
  'ipython/kernels': listKernels,
  'ipython/kernel/shutdown': shutdownKernel,
};

const BY_NAME: ReadonlyMap<string, ExecType> = new Map([
  ...Object.entries(TYPES),
  // As the original's clients may have it, from DELETE /ipython/kernel.
  ['ipython/kernel', shutdownKernel],
]);

/** Paths of the original's Ship that answer, but not to POST. */
const NOT_POSTABLE = new Set(['', 'health', 'stat', 'docs', 'redoc', 'openapi.json', 'download']);

export interface ExecBody {
  readonly type: string;
  readonly payload: object | null;
}

/** @returns INVALID after pushing to `errors` */
export function checkExecBody(body: Body, errors: ValidationItem[]): ExecBody | typeof INVALID {
  return checkBody(body, execBody, ['body'], errors);
}

/** @throws ApiError 400 for every failure, as the original */
export async function runExec(call: ExecCall, body: Body, { type, payload }: ExecBody): Promise<ExecAnswer> {
  const found = findType(type);
  if (typeof found === 'string') throw await unlessInaccessible(call, found);
  const errors: ValidationItem[] = [];
  const checked =
    payload === null
      ? found.payload({}, ['body'], errors)
      : checkBody(body, found.payload, ['body'], errors, (value) => payloadOf(value, payload));
  if (checked === INVALID) throw await unlessInaccessible(call, `422: ${validationBody(errors)}`);
  try {
    return await found.run(call, checked);
  } catch (error) {
    throw execFailure(error);
  }
}

/** @returns what Ship answers where there is no such type */
function findType(type: string): ExecType | string {
  const name = type.replace(/\/+$/, ''); // Ship redirected, and Bay followed
  const found = BY_NAME.get(name) ?? processType(name);
  if (found) return found;
  if (NOT_POSTABLE.has(name)) return `405: ${shipDetail('Method Not Allowed')}`;
  return `404: ${shipDetail('Not Found')}`;
}

function payloadOf(value: unknown, payload: object): unknown {
  return value instanceof Map ? (value.get('payload') as unknown) : payload;
}

/** Bay looked at ship and session before it asked Ship: what is wrong with those comes first. */
async function unlessInaccessible(call: ExecCall, answer: string): Promise<ApiError> {
  const { shipId, sessionId } = call;
  try {
    await call.deps.executions.listKernels({ shipId, sessionId }, call.options);
  } catch (error) {
    const access = isStatusError(error) ? accessFailure(error) : undefined;
    if (access !== undefined) return new ApiError(400, access, { cause: error });
  }
  return new ApiError(400, `Ship returned ${answer}`);
}
