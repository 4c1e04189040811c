import type { WorkKind } from '../executions/execution.js';
import type { PartDeps } from '../part-deps.js';
import { createCommandKind } from './command-kind.js';
import { createTerminalKind } from './terminal-kind.js';

/** The two kinds of work that are processes. */
export function openShell(deps: PartDeps): { commands: WorkKind; terminals: WorkKind } {
  return { commands: createCommandKind(deps), terminals: createTerminalKind(deps) };
}
