import { StatusError } from '../../proto/rpc/status-error.js';

/** What is asked of a ship that is stopped, or on its way there. Documented routes have words of their own for it. */
export const shipNotRunning = () =>
  new StatusError('SHIP_NOT_RUNNING', 'the ship does not run: create a ship for its session, which restores it');
