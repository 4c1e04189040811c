import type { ShipSpec } from '../ships/ship.js';

const SHARE = 1 / 4;
/** Of a container whose memory has no limit. */
export const UNLIMITED_TMP_BYTES = 1024 ** 3;

/**
 * The size of a /tmp that lies in memory, undefined where the ship's memory has no limit. What lies there counts as the
 * ship's memory and stays when the kernel kills for want of it: unbounded, a session could leave its ship unable to start
 * anything. A quarter leaves room for the agent, its runners and some kernels.
 */
export function tmpBytesOf({ memoryBytes }: ShipSpec): number | undefined {
  return memoryBytes > 0 ? Math.floor(memoryBytes * SHARE) : undefined;
}
