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

/** The name of both tables of a filter: whose it is, and what it lets pass. */
export const filterName = (subject: FilterSubject): string => `${ofDeployment(subject)}${policyMark(subject)}`;

/** Whether another deployment has put other rules on the network. */
export const isContrary = (name: string, subject: FilterSubject): boolean =>
  isForeign(name, subject) && !name.endsWith(`_${policyMark(subject)}`);

export const isForeign = (name: string, subject: FilterSubject): boolean =>
  name.startsWith(ofNetwork(subject.engine, subject.shipNetwork)) && !name.startsWith(ofDeployment(subject));

/** Each Bay in a container is let through to ships by its own filter alone, so that two have no network in common. */
const policyMark = ({ allow, bayContainerId }: FilterSubject): string =>
  mark(JSON.stringify([allow.map(({ cidr, port }) => [cidr, port ?? 0]), bayContainerId ?? '']));
