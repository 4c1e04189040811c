import { z } from 'zod';
import { LABEL, SHIP_ID_ANNOTATION } from './names.js';
import type { Pod } from './pod-watch.js';
import { StatusError } from '../../../proto/rpc/status-error.js';
import type { Endpoint, FoundShip } from '../driver.js';
import { INSIDE } from '../inside.js';
import { AGENT_NAME, certificatesOf } from './certificates.js';
import type { KubernetesDriverOptions } from './options.js';

const schema = z.object({
  pod: z.string(),
  shipId: z.string(),
  incarnation: z.number().int(),
  /** Missing while the Pod has none. */
  address: z.string().optional(),
});

/** What a row keeps of an incarnation. Keys and certificates are made when they are needed, and kept nowhere. */
export type ShipHandle = z.infer<typeof schema>;

/** undefined for a handle of another driver. */
export const toShipHandle = (handle: Readonly<Record<string, unknown>> | undefined): ShipHandle | undefined =>
  schema.safeParse(handle).data;

/** @throws StatusError SHIP_NOT_RUNNING while the Pod has no address */
export function endpointOf(
  { pod, shipId: id, incarnation, address: host }: ShipHandle,
  { certificateSecret }: Pick<KubernetesDriverOptions, 'certificateSecret'>,
): Endpoint {
  if (host === undefined) throw new StatusError('SHIP_NOT_RUNNING', `Pod ${pod} has no address yet`);
  const { bay, caPem } = certificatesOf(certificateSecret, { id, incarnation });
  return { kind: 'tcp', host, port: INSIDE.port, tls: { ...bay, caPem, serverName: AGENT_NAME } };
}

/** A ship as its Pod tells of it; undefined for a Pod that tells of none. */
export function toFoundShip({ metadata, status }: Pod): FoundShip | undefined {
  const shipId = metadata?.annotations?.[SHIP_ID_ANNOTATION];
  const incarnation = Number(metadata?.labels?.[LABEL.incarnation]);
  if (shipId === undefined || !metadata?.name || !Number.isSafeInteger(incarnation)) return undefined;
  const address = status?.podIP;
  const handle: ShipHandle = { pod: metadata.name, shipId, incarnation, ...(address ? { address } : {}) };
  return { shipId, incarnation, handle };
}
