import { keepFoundEngine, type EngineKind as SocketKind } from '../../../../scripts/lib/engines.mjs';
import { findEngine } from '../engine.js';
import { findImage } from '../image.js';
import type { EngineMode } from '../options.js';

/** An engine that tests run over, and how Bay stands to it. */
export interface TestEngine {
  readonly title: string;
  readonly mode: EngineMode;
  /** As DOCKER_HOST takes it. */
  readonly host: string;
}

export interface MissingEngine {
  readonly title: string;
  readonly why: string;
}

/** What there is to run over; a runner that makes engines ready names them, and misses none. */
const ALL: Readonly<Record<string, { readonly socket: SocketKind; readonly mode: EngineMode }>> = {
  'docker-host': { socket: 'docker', mode: 'docker-host' },
  docker: { socket: 'docker', mode: 'docker' },
  'podman-host': { socket: 'podman', mode: 'podman-host' },
  podman: { socket: 'podman', mode: 'podman' },
  'podman-rootless-host': { socket: 'podman-rootless', mode: 'podman-host' },
};
/** From outside of a container these are all that can be run. */
const ON_THIS_MACHINE = ['docker-host', 'podman-host', 'podman-rootless-host'];

export const TEST_IMAGE = process.env.DOCKER_IMAGE ?? 'ship:latest';

/** SHIPYARD_TEST_ENGINES names the engines that must be there; without it, those run that answer and have the image. */
export async function testEngines(): Promise<{ found: TestEngine[]; missing: MissingEngine[] }> {
  const named = process.env.SHIPYARD_TEST_ENGINES?.split(',');
  const found: TestEngine[] = [];
  const missing: MissingEngine[] = [];
  for (const title of named ?? ON_THIS_MACHINE) {
    const one = await look(title);
    if ('host' in one) found.push(one);
    else if (named) throw new Error(`${title} is to be tested, and ${one.why}`);
    else missing.push(one);
  }
  return { found, missing };
}

async function look(title: string): Promise<TestEngine | MissingEngine> {
  const engine = ALL[title];
  if (!engine) return { title, why: `is none of ${Object.keys(ALL).join(', ')}` };
  const socket = await keepFoundEngine(engine.socket);
  if (!socket) return { title, why: 'no such engine answers here' };
  const { host } = socket;
  const kind = engine.socket === 'docker' ? 'docker' : 'podman';
  const signal = AbortSignal.timeout(10_000);
  const answering = await findEngine(kind, { dockerHost: host, containerHost: host }, signal);
  const image = await findImage(answering, TEST_IMAGE, signal).catch(() => undefined);
  return image
    ? { title, mode: engine.mode, host }
    : { title, why: `${host} has no image ${TEST_IMAGE} of this version` };
}
