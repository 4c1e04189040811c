import { readFileSync } from 'node:fs';
import { testEngine } from './test-engine.js';

/** Ends a ship's agent by SIGKILL, as a crash would; `containerId` is the engine's name of the ship. */
export async function killAgent(containerId: string): Promise<void> {
  const docker = testEngine();
  if (docker) return void (await docker.getContainer(containerId).kill());
  // A local ship is named by the init of its pid namespace, whose only child is the agent.
  const agent = Number(readFileSync(`/proc/${containerId}/task/${containerId}/children`, 'utf8').trim());
  process.kill(agent, 'SIGKILL');
}
