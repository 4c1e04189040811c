import { z } from 'zod';
import type { Endpoint } from '../driver.js';

const schema = z.object({
  containerId: z.string(),
  endpoint: z.union([
    z.object({ kind: z.literal('unix'), path: z.string() }),
    z.object({ kind: z.literal('tcp'), host: z.string(), port: z.number().int() }),
  ]),
});

/** What a row keeps of an incarnation. */
export interface ShipHandle {
  readonly containerId: string;
  readonly endpoint: Endpoint;
}

/** undefined for a handle of another driver. */
export const toShipHandle = (handle: Readonly<Record<string, unknown>> | undefined): ShipHandle | undefined =>
  schema.safeParse(handle).data;

/** Also where the rest of the handle is not known, as of a ship that was found while it started. */
export const containerIdOf = (handle: Readonly<Record<string, unknown>> | undefined): string | undefined =>
  typeof handle?.containerId === 'string' ? handle.containerId : undefined;
