/** The exec types fs/*. */
import type { FileInfo } from '../../../../proto/gen/shipyard/execution/v1/file_service.js';
import { isStatusError, StatusError } from '../../../../proto/rpc/status-error.js';
import { readLargeText } from '../files/large-text.js';
import { PythonFloat, stringifyPythonJson } from '../json/python-json.js';
import { uploadText } from '../files/upload-text.js';
import {
  createFilePayload,
  deleteFilePayload,
  editFilePayload,
  listDirPayload,
  readFilePayload,
  writeFilePayload,
} from '../requests.js';
import { envelope, execType, type ExecCall } from './call.js';
import { fileFailure } from './failure.js';

export const createFile = execType(createFilePayload, (call, { path, content, mode }) =>
  told('Failed to create file', async () => {
    const written = await writeText(call, { path, content, encoding: 'utf-8', append: false, mode: checkedMode(mode) });
    return envelope({ success: true, message: `File created: ${path}`, path: written.path });
  }),
);

export const readFile = execType(readFilePayload, (call, { path, encoding, offset, limit }) =>
  told('Failed to read file', async () => {
    const range = { offset: lineNumber(offset), limit: lineNumber(limit) };
    try {
      const read = await call.deps.files.readText({ ...target(call), path, encoding, ...range }, call.options);
      return envelope({ content: read.content, path: read.path, size: read.sizeBytes });
    } catch (error) {
      const isTooLarge = isStatusError(error) && error.reason === 'TOO_LARGE';
      // Counting from the end would need the whole file, and other encodings Python.
      if (!isTooLarge || !isUtf8(encoding) || (range.limit ?? 0) < 0) throw error;
      return readLargeText(call, path, { first: Math.max(1, range.offset ?? 1), count: range.limit ?? Infinity });
    }
  }),
);

export const writeFile = execType(writeFilePayload, (call, { path, content, mode, encoding }) =>
  told('Failed to write file', async () => {
    const written = await writeText(call, { path, content, encoding, append: mode !== 'w', mode: undefined });
    const answer = { success: true, message: `File written: ${path}`, path: written.path, size: written.sizeBytes };
    return envelope(answer);
  }),
);

export const editFile = execType(editFilePayload, (call, payload) =>
  told('Failed to edit file', async () => {
    const { path, old_string, new_string, replace_all, encoding } = payload;
    const edited = await call.deps.files.editText(
      { ...target(call), path, oldString: old_string, newString: new_string, replaceAll: replace_all, encoding },
      call.options,
    );
    const { replacements } = edited;
    const message = `File edited: ${path}`;
    const answer = { success: true, message, path: edited.path, replacements, size: edited.sizeBytes };
    return envelope(answer, { replacements });
  }),
);

export const deleteFile = execType(deleteFilePayload, (call, { path }) =>
  told('Failed to delete', async () => {
    const { wasDirectory } = await call.deps.files.deleteFile({ ...target(call), path }, call.options);
    return envelope({ success: true, message: `${wasDirectory ? 'Directory' : 'File'} deleted: ${path}` });
  }),
);

export const listDir = execType(listDirPayload, (call, { path, show_hidden }) =>
  told('Failed to list directory', async () => {
    const listed = await call.deps.files.listDirectory(
      { ...target(call), path, showHidden: show_hidden },
      call.options,
    );
    const files = listed.files.map(toEntry);
    const data = { files, current_path: listed.path, ...(listed.truncated ? { truncated: true } : {}) };
    return stringifyPythonJson({ success: true, data, error: null });
  }),
);

function toEntry(info: FileInfo): object {
  return {
    name: info.name,
    path: info.path,
    is_file: info.isFile,
    is_dir: info.isDirectory,
    size: info.isDirectory ? null : info.sizeBytes,
    modified_time: new PythonFloat((info.modifyTime?.getTime() ?? 0) / 1000),
  };
}

interface TextToWrite {
  readonly path: string;
  readonly content: string;
  readonly encoding: string;
  readonly append: boolean;
  readonly mode: number | undefined;
}

/** What fits a message with room to spare; more goes as an upload, which has no bound of its own. */
const MESSAGE_CHARS = 2 * 1024 * 1024;
const UTF8_NAMES = new Set(['utf-8', 'utf8', 'utf_8']);

async function writeText(call: ExecCall, text: TextToWrite): Promise<{ path: string; sizeBytes: number }> {
  const { files } = call.deps;
  if (text.content.length > MESSAGE_CHARS && !text.append && isUtf8(text.encoding)) {
    return files.upload(uploadText({ ...target(call), path: text.path, mode: text.mode }, text.content), {
      ...call.options,
    });
  }
  return files.writeText({ ...target(call), ...text }, call.options);
}

function isUtf8(encoding: string): boolean {
  return UTF8_NAMES.has(encoding.toLowerCase());
}

function target(call: ExecCall): { shipId: string; sessionId: string } {
  return { shipId: call.shipId, sessionId: call.sessionId };
}

/** Permission bits; the type bits of a stat mode are let pass, as os.chmod does. */
function checkedMode(mode: number): number {
  const bits = mode >= 0 && mode <= 0o177777 ? mode & 0o7777 : mode;
  if (bits >= 1 && bits <= 0o777) return bits;
  throw new StatusError('INVALID_ARGUMENT', `mode must be between 1 (0o001) and 511 (0o777): ${mode}`);
}

/** Counts of lines beyond what a file can hold mean the same as the largest exact number. */
function lineNumber(value: number | null): number | undefined {
  if (value === null) return undefined;
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, value));
}

async function told<T>(failed: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw fileFailure(error, failed);
  }
}
