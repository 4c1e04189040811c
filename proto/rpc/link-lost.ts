/** Tells the loss of a connection from failures that the peer itself reported. */
import { StatusError } from './status-error.js';

const lost = new WeakSet<StatusError>();

/** A call's or a connection's end because the link to the peer broke, was refused or fell silent. */
export function linkLost(message: string, cause?: unknown): StatusError {
  const error = new StatusError('SHIP_UNREACHABLE', message, { cause });
  lost.add(error);
  return error;
}

/** Whether the call may have had any effect or none because the link broke: the time to dial and to attach again. */
export function isLinkLost(thrown: unknown): boolean {
  return thrown instanceof StatusError && lost.has(thrown);
}

/** Marks an error as the end of a link, whatever its reason. */
export function markLinkLost(error: StatusError): StatusError {
  lost.add(error);
  return error;
}
