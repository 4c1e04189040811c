import type { FileServiceDefinition } from '../../../proto/gen/shipyard/execution/v1/file_service.js';
import type { Implementation } from '../../../proto/rpc/definition.js';
import type { PartDeps } from '../part-deps.js';
import { createFileService } from './file-service.js';
import { createGiveWay } from './give-way.js';

/** FileService's calls, each carried out by the session's own runner. */
export function openFiles(deps: PartDeps): Implementation<typeof FileServiceDefinition> {
  return createFileService(deps.sessions, createGiveWay(deps.quietMs));
}
