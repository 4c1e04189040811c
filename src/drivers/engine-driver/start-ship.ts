import type { ContainerInspectInfo } from 'dockerode';
import { isStatusError, StatusError } from '../../../proto/rpc/status-error.js';
import type { Ship } from '../../ships/ship.js';
import { dataPathsOf, removeEmptyFolder } from '../ship-data.js';
import { stopwatch } from '../../telemetry/stopwatch.js';
import type { Endpoint, StartedShip, StartOptions } from '../driver.js';
import { environmentInside } from '../authorities.js';
import { agentConfigFor } from './agent-config.js';
import { attachmentFor } from './attachment.js';
import { agentReady } from '../agent-ready.js';
import { attachToContainer, type AttachedContainer } from './attach-container.js';
import { containerFor, isolationOf } from './container-spec.js';
import { createContainer } from './create-container.js';
import type { EngineSetup } from './engine-setup.js';
import { bounded } from './engine.js';
import { toDriverError } from './engine-error.js';
import { endOf, findContainer } from './inspect-container.js';
import { INSIDE } from '../inside.js';
import { LateJoinRefused } from './late-join.js';
import { ensureImage } from './image.js';
import { containerName, LABEL } from './labels.js';
import type { EngineDriverOptions } from './options.js';
import { readLogs } from './read-logs.js';
import { removeContainer } from './remove-container.js';
import { shipEndpoint } from './ship-endpoint.js';
import type { ShipHandle } from './ship-handle.js';

export interface StartShipDeps {
  readonly options: EngineDriverOptions;
  readonly setup: EngineSetup;
}

const LAST_LINES = 10;
/** For each act after a start failed: its caller waits. Whoever keeps ships ends once more what is left then. */
const AFTER_MS = 2_000;

/**
 * Starts an incarnation: makes its container, hands the agent its configuration, and answers when the agent can be dialled.
 * Where it fails nothing stays, but with an engine that hangs.
 *
 * @throws StatusError SHIP_START_FAILED, DRIVER_UNAVAILABLE: may pass; DRIVER_REFUSED: will not
 */
export async function startShip(deps: StartShipDeps, ship: Ship, start: StartOptions): Promise<StartedShip> {
  const { lateJoin } = deps.setup;
  try {
    return await tryToStart(deps, ship, start, lateJoin.serves);
  } catch (error) {
    if (!(error instanceof LateJoinRefused)) throw error;
    const started = await tryToStart(deps, ship, start, false);
    lateJoin.wasRefused(error);
    return started;
  }
}

/** @param late whether it may be put on its network late */
async function tryToStart(deps: StartShipDeps, ship: Ship, start: StartOptions, late: boolean): Promise<StartedShip> {
  const { signal } = start;
  signal.throwIfAborted();
  const { engine } = deps.setup;
  const name = containerName(deps.options.deploymentId, ship);
  try {
    return await begin(deps, ship, start, late);
  } catch (error) {
    const failure = await toStartError(deps, ship, error, signal);
    await removeContainer(engine, name, bounded(undefined, AFTER_MS)).catch((left: unknown) =>
      deps.options.logger.warn({ shipId: ship.id, err: left }, 'what is left of a start is removed later'),
    );
    throw failure;
  }
}

async function begin(deps: StartShipDeps, ship: Ship, start: StartOptions, late: boolean): Promise<StartedShip> {
  const { signal } = start;
  const { options, setup } = deps;
  const { engine, policy } = setup;
  const lap = stopwatch();
  const [image] = await Promise.all([
    ensureImage(engine, options.image, options.logger, signal),
    setup.network.ensure(signal),
  ]);
  const dataOnMachine = setup.dataOnMachine(ship.id);
  const { shipNetwork } = setup.network;
  const attachment = attachmentFor({ engine, policy, shipNetwork, late }, options);
  const spec = containerFor(ship, { engine, policy, imageId: image.id, dataOnMachine, attachment }, options);
  const removeBeside = () => removeEmptyFolder(dataPathsOf(options.shipDataDir, ship.id).root);
  const making = { engine, log: options.logger, removeBeside };
  const container = await createContainer(making, spec, signal);
  const createMs = lap();
  signal.throwIfAborted();
  const environment = environmentInside(options.shipEnvironment, image.environment);
  const config = agentConfigFor(ship, start, { network: policy.network, environment }, options);
  const attached = await attachToContainer(engine, container.id, JSON.stringify(config), bounded(signal));
  try {
    await container.start({ abortSignal: bounded(signal) });
    const startMs = lap();
    if (attachment === 'late') await setup.lateJoin.join(container.id, setup.network.shipNetwork.incarnation, signal);
    const joinMs = attachment === 'late' ? lap() : undefined;
    const found = await findContainer(engine, container.id, signal);
    const address = found?.NetworkSettings.Networks?.[shipNetwork.name]?.IPAddress;
    const endpoint = found && endpointOf(found, address, ship.id, options);
    if (!endpoint) throw new StatusError('SHIP_START_FAILED', endOf(found));
    await untilReady(deps, attached, { endpoint, behindProxy: attachment === 'port' }, signal);
    const handle: ShipHandle = { containerId: container.id, endpoint };
    return {
      handle: { ...handle },
      isolation: isolationOf(ship, setup, options),
      containerId: container.id,
      ...(address ? { ipAddress: address } : {}),
      phasesMs: { create: createMs, start: startMs, ...(joinMs === undefined ? {} : { join: joinMs }), listen: lap() },
    };
  } finally {
    attached.detach();
  }
}

/** Fails at once where the container ends before its agent answers. */
async function untilReady(
  { setup, options }: StartShipDeps,
  { id, onOutput }: AttachedContainer,
  { endpoint, behindProxy }: { readonly endpoint: Endpoint; readonly behindProxy: boolean },
  signal: AbortSignal,
): Promise<void> {
  const over = new AbortController();
  const within = AbortSignal.any([signal, over.signal]);
  const dead = setup.watch.died(id, within).then((end) => {
    throw new StatusError('SHIP_START_FAILED', end.state === 'gone' ? end.reason : 'its container ended');
  });
  try {
    await Promise.race([agentReady(endpoint, within, { onSign: onOutput, behindProxy }), dead]);
  } catch (error) {
    if (signal.aborted)
      options.logger.warn({ containerId: id, endpoint }, 'no agent answered there until the start was given up');
    throw error;
  } finally {
    over.abort(new Error('the ship is ready, or will not be'));
    dead.catch(() => undefined); // told by the race, or of no interest after it
  }
}

function endpointOf(
  found: ContainerInspectInfo,
  address: string | undefined,
  shipId: string,
  options: EngineDriverOptions,
): Endpoint | undefined {
  const published = found.NetworkSettings.Ports?.[`${INSIDE.port}/tcp`]?.[0]?.HostPort;
  const addresses = { ...(published ? { publishedPort: Number(published) } : {}), ...(address ? { address } : {}) };
  return shipEndpoint(shipId, addresses, options, found.Config.Labels[LABEL.network]);
}

/** Of the agent or its program where another try ends the same: a configuration it refuses, a file that is not there. */
const FINAL_EXIT_CODES: readonly number[] = [78, 126, 127];

/**
 * The failure as callers are told it; what the agent said last is its cause, which stays in the process. The caller's own
 * cancellation as it is.
 */
async function toStartError(
  { options, setup: { engine } }: StartShipDeps,
  ship: Ship,
  error: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  if (signal.aborted) return signal.reason;
  if (error instanceof LateJoinRefused) return error;
  if (!isStatusError(error)) return toDriverError(engine, 'starting a ship', error);
  if (error.reason !== 'SHIP_START_FAILED') return error;
  const name = containerName(options.deploymentId, ship);
  const soon = bounded(undefined, AFTER_MS);
  const said = await readLogs(engine, name, soon, LAST_LINES).catch(() => '');
  const found = await findContainer(engine, name, soon).catch(() => undefined);
  const final = found?.State.Running === false && FINAL_EXIT_CODES.includes(found.State.ExitCode);
  return new StatusError(
    final ? 'DRIVER_REFUSED' : 'SHIP_START_FAILED',
    `ship ${ship.id} did not start: ${error.message}`,
    { cause: said.trim() === '' ? error : new Error(`its agent wrote: ${said.trim()}`) },
  );
}
