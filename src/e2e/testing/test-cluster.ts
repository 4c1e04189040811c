import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { OWN_CLUSTER_FOLDER, TestNamespace } from '../../drivers/kubernetes-driver/testing/test-cluster.js';
import { isMissing } from '../../drivers/system-error.js';
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

/** Ends all processes of a Pod on the node of the test cluster at once, as a loss of power does. */
export async function endPodOnNode(pod: string): Promise<void> {
  const cluster = testCluster();
  const { metadata } = await cluster.client.request<{ metadata: { uid: string } }>('GET', cluster.path('pods', pod));
  const isOfPod = (pid: string) => {
    try {
      return readFileSync(`/proc/${pid}/cgroup`, 'utf8').replaceAll('_', '-').includes(`pod${metadata.uid}`);
    } catch {
      return false; // ended in between
    }
  };
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isOfPod(name));
  if (pids.length === 0) throw new Error(`Pod ${pod} has no process on this machine`);
  for (const pid of pids) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch (error) {
      if (!isMissing(error)) throw error; // went with the first of its namespace
    }
  }
}
