import type { z } from 'zod';
import type { agentConfigSchema } from '../../../ship/src/config.js';
import type { Ship } from '../../ships/ship.js';
import type { StartOptions } from '../driver.js';
import { INSIDE } from '../inside.js';
import type { EngineDriverOptions } from './options.js';

/** The agent's whole configuration in a container. It holds the token, and reaches the agent by its standard input. */
export function agentConfigFor(
  ship: Ship,
  { token, firstSession }: Pick<StartOptions, 'token' | 'firstSession'>,
  place: { readonly network: 'none' | 'internet' | 'open'; readonly environment: Readonly<Record<string, string>> },
  options: Pick<EngineDriverOptions, 'executionLogMaxBytes' | 'shipLogMaxBytes' | 'ephemeral' | 'logLevel'>,
): z.input<typeof agentConfigSchema> {
  return {
    shipId: ship.id,
    incarnation: ship.incarnation,
    token,
    listen:
      place.network === 'none'
        ? { kind: 'unix', path: INSIDE.socket, shared: true }
        : { kind: 'tcp', host: '0.0.0.0', port: INSIDE.port },
    stateDir: INSIDE.state,
    homesDir: INSIDE.homes,
    runDir: INSIDE.run,
    supportDir: INSIDE.support,
    python: { executable: INSIDE.python, prefixes: [] },
    sandbox: { kind: 'uid' },
    environment: { ...place.environment },
    maxSessionNum: ship.maxSessionNum,
    cgroup: 'container',
    ...(firstSession ? { firstSession } : {}),
    ...(options.executionLogMaxBytes === undefined ? {} : { executionLogMaxBytes: options.executionLogMaxBytes }),
    ...(options.shipLogMaxBytes === undefined ? {} : { shipLogMaxBytes: options.shipLogMaxBytes }),
    ephemeral: options.ephemeral,
    ...(options.logLevel === undefined ? {} : { logLevel: options.logLevel }),
  };
}
