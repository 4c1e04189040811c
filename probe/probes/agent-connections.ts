/** Connections to its own agent, which whoever reaches the port can make: the ship's sessions are served meanwhile. */
import { attack, attackOutside, successes, summary } from '../attack.js';
import { breached, held, type Probe } from '../probe.js';
import type { Scene } from '../scene.js';
import { ownAgent } from './agent.js';

const SECONDS = 8;
/** Beyond the descriptors that an agent has in a container. */
const LIMIT = 6000;

export const agentConnections: Probe = {
  name: 'agent-connections',
  attempts: 'keep others out of its ship by all the connections to its agent that it can hold',
  async run(scene) {
    await floodWorks(scene);
    const session = scene.neighbour ?? scene.attacker;
    const args = { targets: ownAgent(scene), seconds: SECONDS, limit: LIMIT };
    const attacking = attack(scene.attacker, 'hold_connections', args);
    let isOver = false;
    void attacking.catch(() => undefined).then(() => (isOver = true));
    let served = 0;
    do {
      // A command goes over the connection that Bay has; a file's way may be a new one.
      try {
        await session.writeText('served.txt', `${served}`);
        const { stdout } = await session.run({ command: { command: 'cat served.txt' } });
        if (stdout !== `${served}`)
          return breached(`a command read ${JSON.stringify(stdout)} where ${served} was written`);
      } catch (error) {
        return breached(`a call to the ship failed: ${error instanceof Error ? error.message : String(error)}`);
      }
      served += 1;
    } while (!isOver);
    const attacked = await attacking;
    const [connected] = successes(attacked);
    return held(
      `${served} rounds of calls were served; ${connected ? `${connected.attempt}: ${connected.got}` : summary(attacked)}`,
    );
  },
};

/** Bay's port can be connected to: there the same program holds some. */
async function floodWorks({ target: { own } }: Scene): Promise<void> {
  if (!own) return;
  const targets = [{ host: '127.0.0.1', port: own.grpcPort }];
  const attacked = await attackOutside('hold_connections', { targets, seconds: 1, limit: LIMIT });
  if (successes(attacked).length === 0) throw new Error('the program holds no connection where it could');
}
