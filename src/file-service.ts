import type { FileServiceDefinition } from '../proto/gen/shipyard/execution/v1/file_service.js';
import type { Implementation } from '../proto/rpc/definition.js';
import { forwardCall } from './ships/forward-call.js';
import { forwardDownload, forwardUpload } from './ships/forward-files.js';
import type { ShipsDeps } from './ships/ships-deps.js';

const REPEATABLE = { repeatable: true };
const ONCE = { repeatable: false };

/** Files at Bay: every call goes to its ship, streams over a connection of their own. */
export function createFileService(deps: ShipsDeps): Implementation<typeof FileServiceDefinition> {
  return {
    readText: (request, ctx) =>
      forwardCall(deps, request, ctx, REPEATABLE, ({ files }, options) => files.readText(request, options)),
    writeText: (request, ctx) =>
      forwardCall(deps, request, ctx, { repeatable: !request.append }, ({ files }, options) =>
        files.writeText(request, options),
      ),
    editText: (request, ctx) =>
      forwardCall(deps, request, ctx, ONCE, ({ files }, options) => files.editText(request, options)),
    deleteFile: (request, ctx) =>
      forwardCall(deps, request, ctx, ONCE, ({ files }, options) => files.deleteFile(request, options)),
    listDirectory: (request, ctx) =>
      forwardCall(deps, request, ctx, REPEATABLE, ({ files }, options) => files.listDirectory(request, options)),
    getFileInfo: (request, ctx) =>
      forwardCall(deps, request, ctx, REPEATABLE, ({ files }, options) => files.getFileInfo(request, options)),
    makeDirectory: (request, ctx) =>
      forwardCall(deps, request, ctx, REPEATABLE, ({ files }, options) => files.makeDirectory(request, options)),
    moveFile: (request, ctx) =>
      forwardCall(deps, request, ctx, ONCE, ({ files }, options) => files.moveFile(request, options)),
    upload: (requests, ctx) => forwardUpload(deps, requests, ctx),
    download: (request, ctx) => forwardDownload(deps, request, ctx),
  };
}
