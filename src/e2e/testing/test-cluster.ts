import { existsSync } from 'node:fs';
import path from 'node:path';
import { OWN_CLUSTER_FOLDER, TestNamespace } from '../../drivers/kubernetes-driver/testing/test-cluster.js';
import { Daemon } from './daemon.js';

/** The namespace in which the Bay of these tests has its ships, as an administrator sees it. */
export function testCluster(): Omit<TestNamespace, typeof Symbol.asyncDispose> {
  const name = process.env.SHIPYARD_TEST_NAMESPACE;
  if (!name) throw new Error('these tests are run by npm run test:kubernetes');
  return TestNamespace.at(name);
}

/** A daemon of the test cluster, which these tests may end. */
export function clusterDaemon(name: 'kube-apiserver' | 'kubelet'): Daemon {
  const folder = OWN_CLUSTER_FOLDER ?? '';
  const pidFile = path.join(folder, 'pids', name);
  if (!existsSync(pidFile)) throw new Error(`the test cluster has no ${name}`);
  return new Daemon({ pidFile, log: path.join(folder, 'log', `${name}.log`) });
}
