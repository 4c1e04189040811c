import { StatusError } from '../../proto/rpc/status-error.js';

// The texts are part of the documented HTTP contract: clients look into them.
export const shipNotFound = () => new StatusError('SHIP_NOT_FOUND', 'Ship not found');
export const shipNotFoundOrNotRunning = () => new StatusError('SHIP_NOT_FOUND', 'Ship not found or not running');
export const shipNotRunning = () => new StatusError('SHIP_NOT_RUNNING', 'Ship not found or not running');
export const sessionNotBound = () => new StatusError('SESSION_NOT_BOUND', 'Session does not have access to this ship');
