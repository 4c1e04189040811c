import { createHash } from 'node:crypto';
import {
  Lifetime,
  StartExecutionRequest,
  type ShellCommand,
  type Terminal,
} from '../../../proto/gen/shipyard/execution/v1/execution.js';

/**
 * SHA-256 of what a request asks to be done, by which a repeat is told from another request under the same id. Leaves
 * out who asks and by what name (ship, session, id) and how long it is kept (lifetime); equal for any order of `env`.
 */
export function requestDigest(request: StartExecutionRequest): Buffer {
  const work = request.work;
  const canonical: StartExecutionRequest = {
    ...request,
    shipId: '',
    sessionId: '',
    executionId: '',
    lifetime: Lifetime.UNSPECIFIED,
    work:
      work?.$case === 'command'
        ? { $case: 'command', value: withSortedEnv<ShellCommand>(work.value) }
        : work?.$case === 'terminal'
          ? { $case: 'terminal', value: withSortedEnv<Terminal>(work.value) }
          : work,
  };
  return createHash('sha256').update(StartExecutionRequest.encode(canonical).finish()).digest();
}

function withSortedEnv<T extends { env: { [key: string]: string } }>(work: T): T {
  const names = Object.keys(work.env);
  if (names.length < 2) return work;
  return { ...work, env: Object.fromEntries(names.sort().map((name) => [name, work.env[name]!])) };
}
