export interface Cluster {
  readonly kubeconfig: string;
  /** Whether it is the test cluster. */
  readonly own: boolean;
  /** Where the test cluster keeps its state. */
  readonly folder?: string;
  /** Ends a cluster that was started for the caller. */
  stop(): void;
}
/** @throws Error that says what there is to set, where there is none */
export function ensureCluster(): Cluster;
/** Runs kubectl; answers what it printed. */
export function kubectl(args: readonly string[], options?: { input?: string; kubeconfig?: string }): string;
/** Writes a kubeconfig, for two hours, of a service account; by kubectl, as the administrator that KUBECONFIG names. */
export function writeAccountKubeconfig(wanted: { namespace: string; account: string; file: string }): void;
