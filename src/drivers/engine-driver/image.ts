import type { ImageInspectInfo } from 'dockerode';
import { MIN_PROTOCOL_GENERATION, PROTOCOL_GENERATION } from '../../../proto/rpc/mux/frame.js';
import { StatusError } from '../../../proto/rpc/status-error.js';
import type { Log } from '../../telemetry/log.js';
import { callEngine } from './call-engine.js';
import { bounded, type Engine } from './engine.js';
import { engineTrouble, isNotThere, toDriverError } from './engine-error.js';
import { checkImageName } from './image-name.js';
import { IMAGE_LABEL } from './labels.js';
import { pullImage } from './pull-image.js';

export interface ShipImage {
  /** What the name means just now. */
  readonly id: string;
  readonly version: string;
  /** Of its own environment; the authorities that it trusts are named there. */
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * The image of ships, pulled where it is missing.
 *
 * @throws StatusError DRIVER_REFUSED: it is not there and cannot be pulled, or is no image of ships of this version
 */
export async function ensureImage(engine: Engine, name: string, log: Log, signal: AbortSignal): Promise<ShipImage> {
  const there = await findImage(engine, name, signal);
  if (there) return there;
  log.info({ image: name, engine: engine.kind }, 'the image of ships is not there: pulling it');
  try {
    await pullImage(engine, name, log, signal);
  } catch (error) {
    signal.throwIfAborted();
    const message = `the image ${name} is not there, and it cannot be pulled: build it with npm run images, or set DOCKER_IMAGE`;
    throw new StatusError('DRIVER_REFUSED', message, { cause: new Error(engineTrouble(error)) });
  }
  const pulled = await findImage(engine, name, signal);
  if (pulled) return pulled;
  throw new StatusError('DRIVER_REFUSED', `${engine.kind} pulled ${name} and does not have it`);
}

/** @returns undefined where the engine does not have it */
export async function findImage(engine: Engine, name: string, signal: AbortSignal): Promise<ShipImage | undefined> {
  checkImageName(name);
  let found: ImageInspectInfo;
  try {
    found = await callEngine(engine, {
      method: 'GET',
      path: `/images/${name}/json`,
      answer: 'json',
      signal: bounded(signal),
    });
  } catch (error) {
    signal.throwIfAborted();
    if (isNotThere(error)) return undefined;
    throw toDriverError(engine, 'looking at the image of ships', error);
  }
  const labels = found.Config.Labels ?? {};
  checkLabels(name, labels);
  const environment = Object.fromEntries((found.Config.Env ?? []).map(splitVariable));
  return { id: found.Id, version: labels[IMAGE_LABEL.version] ?? '', environment };
}

function checkLabels(name: string, labels: Readonly<Record<string, string>>): void {
  const generation = Number(labels[IMAGE_LABEL.generation]);
  if (!labels[IMAGE_LABEL.generation]) {
    const message = `${name} is no image of ships: the label ${IMAGE_LABEL.generation} is missing; build one with npm run images`;
    throw new StatusError('DRIVER_REFUSED', message);
  }
  if (generation >= MIN_PROTOCOL_GENERATION && generation <= PROTOCOL_GENERATION) return;
  const message = `the agent in ${name} (version ${labels[IMAGE_LABEL.version] ?? 'unknown'}) speaks protocol generation ${generation}, and this Bay ${PROTOCOL_GENERATION}: build the image of this version with npm run images`;
  throw new StatusError('DRIVER_REFUSED', message);
}

function splitVariable(line: string): [string, string] {
  const at = line.indexOf('=');
  return [line.slice(0, at), line.slice(at + 1)];
}
