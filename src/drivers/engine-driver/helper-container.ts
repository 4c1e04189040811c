import { randomBytes } from 'node:crypto';
import type { ContainerCreateOptions, HostConfig } from 'dockerode';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { bounded, type Engine } from './engine.js';
import { toDriverError } from './engine-error.js';
import { LABEL } from './labels.js';
import { readLogs } from './read-logs.js';

export interface HelperTask {
  /** What it does, for people: "setting the network filter". */
  readonly doing: string;
  readonly image: string;
  readonly deploymentId: string;
  /** A shell script, and what it sees as $1 and so on. */
  readonly script: string;
  readonly args?: readonly string[];
  /** Capabilities that it has beside none. */
  readonly capabilities: readonly string[];
  readonly network: 'none' | 'host';
  readonly binds?: readonly string[];
}

const HELPER_TIMEOUT_MS = 120_000;

/**
 * Runs a short-lived container of the image of ships to its end: for what Bay has no right to do itself, and the engine
 * has.
 *
 * @returns what it wrote
 * @throws StatusError DRIVER_REFUSED where it fails, what it wrote being the cause; DRIVER_UNAVAILABLE
 */
export async function runHelper(engine: Engine, task: HelperTask, signal?: AbortSignal): Promise<string> {
  const within = bounded(signal, HELPER_TIMEOUT_MS);
  try {
    const container = await engine.docker.createContainer({ ...toContainer(engine, task), abortSignal: within });
    try {
      await container.start({ abortSignal: within });
      const { StatusCode } = (await container.wait({ abortSignal: within })) as { StatusCode: number };
      const said = await readLogs(engine, container.id, within);
      if (StatusCode === 0) return said;
      const why = said.trim().split('\n').slice(-3).join('; ') || `exit code ${StatusCode}`;
      throw new StatusError('DRIVER_REFUSED', `${task.doing} failed`, { cause: new Error(why) });
    } finally {
      await container.remove({ force: true, v: true, abortSignal: bounded() });
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw toDriverError(engine, task.doing, error);
  }
}

function toContainer(engine: Engine, task: HelperTask): ContainerCreateOptions {
  const host: HostConfig = {
    NetworkMode: task.network,
    CapDrop: ['ALL'],
    CapAdd: [...task.capabilities],
    SecurityOpt: ['no-new-privileges', ...(engine.selinux ? ['label=disable'] : [])],
    ReadonlyRootfs: true,
    Binds: [...(task.binds ?? [])],
    PidsLimit: engine.limits.pids ? 64 : 0,
  };
  return {
    name: `shipyard-helper-${randomBytes(6).toString('hex')}`,
    Image: task.image,
    User: '0:0',
    Entrypoint: ['/bin/sh', '-euc'],
    Cmd: [task.script, 'sh', ...(task.args ?? [])],
    Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
    Labels: { [LABEL.deployment]: task.deploymentId, [LABEL.role]: 'helper' },
    Healthcheck: { Test: ['NONE'] },
    HostConfig: host,
  };
}
