import type { NetworkException } from '../network-filter.js';
import type { Engine } from './engine.js';
import { digest } from './labels.js';
import type { ShipNetwork } from './network.js';

/** What a filter is named by. */
export interface FilterSubject {
  readonly engine: Engine;
  readonly deploymentId: string;
  readonly shipNetwork: Pick<ShipNetwork, 'name' | 'incarnation'>;
  readonly allow: readonly NetworkException[];
  /** This Bay's container, where it is in one. */
  readonly bayContainerId?: string;
}

const mark = (text: string): string => digest(text).slice(0, 8);

/** Starts the names of all filters of an engine. */
export const ofEngine = ({ kind, storage }: Engine): string => `shipyard_${mark(`${kind} ${storage}`)}_`;

/** Starts those of a network; one that is made anew under the same name is another. */
export const ofNetwork = (engine: Engine, { name, incarnation }: FilterSubject['shipNetwork']): string =>
  `${ofEngine(engine)}${mark(name)}_${mark(incarnation)}_`;

/** Starts those of a deployment on its network. */
export const ofDeployment = ({ engine, shipNetwork, deploymentId }: FilterSubject): string =>
  `${ofNetwork(engine, shipNetwork)}${mark(deploymentId)}_`;

/** The name of both tables of a filter: whose it is, which Bay it lets through to ships, and what it lets ships reach. */
export const filterName = (subject: FilterSubject): string => `${ofDeployment(subject)}${policyOf(subject)}`;

/** Whether another deployment has it on the network. */
export const isForeign = (name: string, subject: FilterSubject): boolean =>
  name.startsWith(ofNetwork(subject.engine, subject.shipNetwork)) && !name.startsWith(ofDeployment(subject));

/** Of a foreign one: whether it lets others through than this deployment's. */
export const isContrary = (name: string, subject: FilterSubject): boolean => !name.endsWith(`_${policyOf(subject)}`);

/**
 * Of a foreign one: whether nobody is left who has any use of it, its Bay having been in a container.
 *
 * @param containers ids of all that the engine has, and deployments of those that are ships
 */
export function isForsaken(name: string, subject: FilterSubject, containers: Inhabitants): boolean {
  const [deployment, bay] = name.slice(ofNetwork(subject.engine, subject.shipNetwork).length).split('_');
  const has = (texts: readonly string[], marked: string | undefined) => texts.some((text) => mark(text) === marked);
  return bay !== ON_MACHINE && !has(containers.ids, bay) && !has(containers.deployments, deployment);
}

export interface Inhabitants {
  readonly ids: readonly string[];
  readonly deployments: readonly string[];
}

/** Stands for the container of a Bay that is in none. */
const ON_MACHINE = 'host';

const policyOf = ({ allow, bayContainerId }: FilterSubject): string =>
  `${bayContainerId === undefined ? ON_MACHINE : mark(bayContainerId)}_${mark(JSON.stringify(allow))}`;
