import type { AgentConfig } from '../config.js';
import type { Log } from '../part-deps.js';
import type { SessionRunnerFactory } from './session-runner.js';
import { startSessionRunner } from './start-session-runner.js';

/** The factory of this agent's session runners. */
export function openSessionRunners(deps: { config: AgentConfig; log: Log }): SessionRunnerFactory {
  let opened = 0;
  return {
    open: (binding) => startSessionRunner(deps.config, binding, { number: ++opened, log: deps.log }),
  };
}
