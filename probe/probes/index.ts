import type { Probe } from '../probe.js';
import { agent } from './agent.js';
import { agentConnections } from './agent-connections.js';
import { exhaustions } from './exhaustion.js';
import { fileRoutes } from './file-routes.js';
import { influence } from './influence.js';
import { kernel } from './kernel.js';
import { network } from './network.js';
import { processes } from './processes.js';
import { readings } from './readings.js';

/** In the order in which they run: what may cost an attacker its session comes late. */
export const probes: readonly Probe[] = [
  ...readings,
  ...network,
  ...agent,
  agentConnections,
  ...kernel,
  ...fileRoutes,
  ...influence,
  ...processes,
  ...exhaustions,
];
