import { CONFORMANCE_TOKEN, driverConformance, type ConformanceSubject } from '../conformance.js';
import { helloOf, runIn } from '../testing/agent-client.js';
import { KubernetesShips, kubernetesShip } from './testing/kubernetes-ships.js';
import { describeInCluster } from './testing/test-cluster.js';

async function conformanceSubject(): Promise<ConformanceSubject> {
  const ships = await KubernetesShips.make();
  return {
    driver: ships.driver(),
    anotherDriver: () => ships.driver(),
    ship: kubernetesShip,
    hello: (endpoint) => helloOf(endpoint, CONFORMANCE_TOKEN),
    run: (endpoint, command) => runIn(endpoint, CONFORMANCE_TOKEN, command),
    killAgent: (_, ship) => ships.exec(ship, ['/bin/bash', '-c', 'kill -9 $(pgrep -P 1)']),
    [Symbol.asyncDispose]: () => ships[Symbol.asyncDispose](),
  };
}

describeInCluster('kubernetes driver', () => {
  driverConformance('kubernetes', conformanceSubject, { timeoutMs: 60_000 });
});
