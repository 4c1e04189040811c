import type { Config } from './config.js';
import type { ShipsSettings } from './ships/ships-deps.js';

/** A wait for a place; documented, and not a setting. */
const WAIT_MS = 300_000;

export function toSettings(config: Config): ShipsSettings {
  return {
    maxShips: config.maxShips,
    whenFull: config.whenFull,
    waitMs: WAIT_MS,
    startTimeoutMs: config.startTimeoutMs,
    defaultTtlSeconds: config.defaultTtlSeconds,
    defaultSpec: config.defaultSpec,
  };
}
