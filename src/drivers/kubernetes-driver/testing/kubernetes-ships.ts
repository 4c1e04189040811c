import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { kubectl, writeAccountKubeconfig } from '../../../../scripts/lib/cluster.mjs';
import type { Ship } from '../../../ships/ship.js';
import type { Driver } from '../../driver.js';
import { testShip } from '../../testing/test-ship.js';
import { createKubernetesDriver, type KubernetesDriverOptions } from '../index.js';
import { podName } from '../names.js';
import { TEST_IMAGE, TEST_KUBECONFIG, TestNamespace } from './test-cluster.js';
import { TEST_OPTIONS } from './test-options.js';

const ROLE = path.resolve(import.meta.dirname, '../../../../deploy/kubernetes/base/rbac.yaml');

/**
 * A deployment of the driver in a namespace of its own, with no right but the Role's of the manifests. Dispose ends its ships
 * and removes the namespace.
 */
export class KubernetesShips implements AsyncDisposable {
  readonly #drivers: Driver[] = [];

  private constructor(
    readonly namespace: TestNamespace,
    private readonly folder: string,
    readonly options: KubernetesDriverOptions,
  ) {}

  static async make(
    options: Partial<KubernetesDriverOptions> = {},
    level: 'baseline' | 'restricted' = 'baseline',
  ): Promise<KubernetesShips> {
    const namespace = await TestNamespace.make(level);
    const folder = mkdtempSync(path.join(tmpdir(), 'shipyard-test-'));
    const kubeconfig = path.join(folder, 'kubeconfig');
    const place = { kubeconfig, namespace: namespace.name, deploymentId: namespace.name, image: TEST_IMAGE };
    const ships = new KubernetesShips(namespace, folder, { ...TEST_OPTIONS, ...place, ...options });
    try {
      kubectl(['-n', namespace.name, 'apply', '-f', ROLE], { kubeconfig: TEST_KUBECONFIG });
      writeAccountKubeconfig({ namespace: namespace.name, account: 'shipyard-bay', file: kubeconfig });
      return ships;
    } catch (error) {
      await ships[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A driver of this deployment, as every Bay has one of its own. */
  driver(options: Partial<KubernetesDriverOptions> = {}): Driver {
    const driver = createKubernetesDriver({ ...this.options, ...options });
    this.#drivers.push(driver);
    return driver;
  }

  podName(ship: Ship): string {
    return podName(this.options.deploymentId, ship);
  }

  /** Runs a command beside the agent, with its user. */
  async exec(ship: Ship, argv: string[]): Promise<void> {
    await this.namespace.exec(this.podName(ship), argv);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const driver of this.#drivers) await driver.close?.();
    await this.namespace[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true });
  }
}

export function kubernetesShip(id: string, values: Partial<Ship> = {}): Ship {
  return testShip(id, { driver: 'kubernetes', spec: { cpus: 0.1, memoryBytes: 256 * 1024 * 1024 }, ...values });
}
