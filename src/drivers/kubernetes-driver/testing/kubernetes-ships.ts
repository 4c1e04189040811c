import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import type { Ship } from '../../../ships/ship.js';
import type { Driver } from '../../driver.js';
import { testShip } from '../../testing/test-ship.js';
import { createKubernetesDriver, type KubernetesDriverOptions } from '../index.js';
import { podName } from '../names.js';
import { TEST_IMAGE, TEST_KUBECONFIG, TestNamespace } from './test-cluster.js';

/** A deployment of the driver in a namespace of its own. Dispose ends its ships and removes the namespace. */
export class KubernetesShips implements AsyncDisposable {
  readonly #drivers: Driver[] = [];

  private constructor(
    readonly namespace: TestNamespace,
    readonly options: KubernetesDriverOptions,
  ) {}

  static async make(
    options: Partial<KubernetesDriverOptions> = {},
    level: 'baseline' | 'restricted' = 'baseline',
  ): Promise<KubernetesShips> {
    const namespace = await TestNamespace.make(level);
    return new KubernetesShips(namespace, {
      kubeconfig: TEST_KUBECONFIG ?? '',
      namespace: namespace.name,
      deploymentId: namespace.name,
      certificateSecret: randomBytes(32),
      image: TEST_IMAGE,
      storageSize: '1Gi',
      podSecurity: 'baseline',
      shipNetwork: 'internet',
      shipNetworkAllow: [],
      ephemeral: false,
      shipEnvironment: {},
      startTimeoutMs: 30_000,
      logger: pino({ level: process.env.LOG_LEVEL ?? 'silent' }),
      ...options,
    });
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
  }
}

export function kubernetesShip(id: string, values: Partial<Ship> = {}): Ship {
  return testShip(id, { driver: 'kubernetes', spec: { cpus: 0.1, memoryBytes: 256 * 1024 * 1024 }, ...values });
}
