import type { z } from 'zod';
import type { agentConfigSchema } from '../../../ship/src/config.js';
import type { Ship } from '../../ships/ship.js';
import { environmentInside } from '../authorities.js';
import type { StartOptions } from '../driver.js';
import { INSIDE } from '../inside.js';
import { certificatesOf } from './certificates.js';
import type { KubernetesDriverOptions } from './options.js';

/** The agent's whole configuration; it holds the token and the agent's key, and reaches the Pod in a Secret. */
export function agentConfigFor(
  ship: Ship,
  { token, firstSession }: Pick<StartOptions, 'token' | 'firstSession'>,
  options: KubernetesDriverOptions,
): z.input<typeof agentConfigSchema> {
  const { agent, caPem } = certificatesOf(options.certificateSecret, ship);
  return {
    shipId: ship.id,
    incarnation: ship.incarnation,
    token,
    listen: { kind: 'tcp', host: '0.0.0.0', port: INSIDE.port, tls: { ...agent, caPem } },
    stateDir: INSIDE.state,
    homesDir: INSIDE.homes,
    runDir: INSIDE.run,
    supportDir: INSIDE.support,
    python: { executable: INSIDE.python, prefixes: [] },
    sandbox: { kind: options.podSecurity === 'restricted' ? 'none' : 'uid' },
    environment: environmentInside(options.shipEnvironment, {}),
    maxSessionNum: ship.maxSessionNum,
    cgroup: 'container',
    ...(firstSession ? { firstSession } : {}),
    ...(options.executionLogMaxBytes === undefined ? {} : { executionLogMaxBytes: options.executionLogMaxBytes }),
    ...(options.shipLogMaxBytes === undefined ? {} : { shipLogMaxBytes: options.shipLogMaxBytes }),
    ephemeral: options.ephemeral,
    ...(options.logLevel === undefined ? {} : { logLevel: options.logLevel }),
  };
}
