import { readFileSync } from 'node:fs';
import { TEST_DRIVER, testEngine } from './test-engine.js';
import { testCluster } from './test-cluster.js';

/** Ends a ship's agent by SIGKILL, as a crash would; `containerId` is the engine's name of the ship. */
export async function killAgent(containerId: string): Promise<void> {
  const docker = testEngine();
  if (docker) return void (await docker.getContainer(containerId).kill());
  if (TEST_DRIVER === 'kubernetes') {
    return void (await testCluster().exec(containerId, ['bash', '-c', 'kill -9 $(pgrep -P 1)']));
  }
  // A local ship is named by the init of its pid namespace, whose only child is the agent.
  const agent = Number(readFileSync(`/proc/${containerId}/task/${containerId}/children`, 'utf8').trim());
  process.kill(agent, 'SIGKILL');
}
