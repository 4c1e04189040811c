import { StatusError } from '../../proto/rpc/status-error.js';

export const shipNotFound = () => new StatusError('SHIP_NOT_FOUND', 'Ship not found');
export const sessionNotBound = () => new StatusError('SESSION_NOT_BOUND', 'Session does not have access to this ship');

/**
 * A ship's id as a caller gives it. Whether there is such a ship is another matter.
 *
 * @throws StatusError INVALID_ARGUMENT where it is empty, or no text that could name anything
 */
export function checkShipId(shipId: string): string {
  const rule = shipId === '' ? 'is missing' : hasControlCharacter(shipId) ? 'holds control characters' : undefined;
  if (rule) throw new StatusError('INVALID_ARGUMENT', `ship_id ${rule}`, { details: { field: 'ship_id' } });
  return shipId;
}

function hasControlCharacter(text: string): boolean {
  return /\p{Cc}/u.test(text);
}
