import type { FileServiceDefinition } from '../../../proto/gen/shipyard/execution/v1/file_service.js';
import type { Implementation } from '../../../proto/rpc/definition.js';
import { checkSessionId } from '../../../proto/rpc/invalid-argument.js';
import type { Sessions } from '../sessions.js';

type FileService = Implementation<typeof FileServiceDefinition>;

/** FileService for bound sessions only; what carries it out is loaded with the first call. */
export function createLazyFileService(sessions: Sessions, load: () => Promise<FileService>): FileService {
  const forSession = async ({ sessionId }: { sessionId: string }): Promise<FileService> => {
    checkSessionId(sessionId);
    sessions.check(sessionId);
    return load();
  };
  return {
    readText: async (request, ctx) => (await forSession(request)).readText(request, ctx),
    writeText: async (request, ctx) => (await forSession(request)).writeText(request, ctx),
    editText: async (request, ctx) => (await forSession(request)).editText(request, ctx),
    deleteFile: async (request, ctx) => (await forSession(request)).deleteFile(request, ctx),
    listDirectory: async (request, ctx) => (await forSession(request)).listDirectory(request, ctx),
    getFileInfo: async (request, ctx) => (await forSession(request)).getFileInfo(request, ctx),
    makeDirectory: async (request, ctx) => (await forSession(request)).makeDirectory(request, ctx),
    moveFile: async (request, ctx) => (await forSession(request)).moveFile(request, ctx),
    // Its session stands in the first message; whoever carries it out asks the sessions for a runner.
    upload: async (requests, ctx) => (await load()).upload(requests, ctx),
    download: async function* (request, ctx) {
      yield* (await forSession(request)).download(request, ctx);
    },
  };
}
