import type { FileInfo, FileServiceDefinition } from '../../../proto/gen/shipyard/execution/v1/file_service.js';
import type { Implementation } from '../../../proto/rpc/definition.js';
import { checkMode } from '../service/validate.js';
import type { FileStat, SessionDirectory } from '../workspace/session-runner.js';
import { download } from './download.js';
import type { GiveWay } from './give-way.js';
import { upload } from './upload.js';

/**
 * FileService over the sessions' runners. What a path means, whether it leads out, and the texts of failures are settled
 * by ship/python/shipyard_files.py, with the session's rights; here is only the shape of requests and answers.
 */
export function createFileService(
  sessions: SessionDirectory,
  giveWay: GiveWay = () => undefined,
): Implementation<typeof FileServiceDefinition> {
  async function operate<T>(sessionId: string, operation: string, args: Readonly<Record<string, unknown>>): Promise<T> {
    const runner = await sessions.runner(sessionId);
    return runner.fileOperation<T>(operation, args);
  }

  return {
    readText: ({ sessionId, path, encoding, offset, limit }) =>
      operate(sessionId, 'readText', { path, encoding, offset, limit }),
    async writeText({ sessionId, path, content, encoding, append, mode }) {
      checkMode(mode);
      return operate(sessionId, 'writeText', { path, content, encoding, append, mode });
    },
    editText: ({ sessionId, path, oldString, newString, replaceAll, encoding }) =>
      operate(sessionId, 'editText', { path, oldString, newString, replaceAll, encoding }),
    deleteFile: ({ sessionId, path }) => operate(sessionId, 'deleteFile', { path }),
    async listDirectory({ sessionId, path, showHidden }) {
      const found = await operate<{ files: FileStat[]; path: string; truncated: boolean }>(sessionId, 'listDirectory', {
        path,
        showHidden,
      });
      return { files: found.files.map(toFileInfo), path: found.path, truncated: found.truncated };
    },
    getFileInfo: async ({ sessionId, path }) => toFileInfo(await operate(sessionId, 'fileInfo', { path })),
    makeDirectory: async ({ sessionId, path }) => toFileInfo(await operate(sessionId, 'makeDirectory', { path })),
    moveFile: async ({ sessionId, path, newPath }) =>
      toFileInfo(await operate(sessionId, 'moveFile', { path, newPath })),
    upload: (requests, ctx) => upload(sessions, requests, ctx, giveWay),
    download: (request, ctx) => download(sessions, request, ctx, giveWay),
  };
}

export function toFileInfo(stat: FileStat): FileInfo {
  const { name, path, isFile, isDirectory, sizeBytes, mode, linkTarget } = stat;
  return { name, path, isFile, isDirectory, sizeBytes, modifyTime: new Date(stat.modifyTimeMs), mode, linkTarget };
}
