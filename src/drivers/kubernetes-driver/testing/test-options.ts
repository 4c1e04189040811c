import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import type { KubernetesDriverOptions } from '../options.js';

/** Of a deployment that says no more than it has to. */
export const TEST_OPTIONS: KubernetesDriverOptions = {
  deploymentId: 'test',
  certificateSecret: randomBytes(32),
  image: 'ship:latest',
  storageSize: '1Gi',
  podSecurity: 'baseline',
  shipNetwork: 'internet',
  shipNetworkAllow: [],
  ephemeral: false,
  shipEnvironment: {},
  startTimeoutMs: 30_000,
  logger: pino({ level: process.env.LOG_LEVEL ?? 'silent' }),
};
