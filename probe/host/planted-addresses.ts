import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createConnection } from 'node:net';

/** Addresses that this machine's loopback gets for as long as the probes run. */
export interface PlantedAddresses {
  /** One in each private range; empty where none could be had. */
  readonly privateRanges: readonly string[];
  /** 100.64/10. */
  readonly shared?: string;
  /** 169.254/16. */
  readonly linkLocal?: string;
  /** Whether 169.254.169.254 is among them; not where something answers there already, which is left alone. */
  readonly metadata: boolean;
  /** For a resolver that nobody configured. */
  readonly resolver?: string;
  /** Why there are none. */
  readonly missing?: string;
  remove(): void;
}

/** By which they are found again, also those of a run that was killed. */
const LABEL = 'lo:probe';
export const METADATA = '169.254.169.254';

/** As root, one address in each range that ships must not reach; each a network of one. */
export async function plantAddresses(): Promise<PlantedAddresses> {
  const none = (missing: string): PlantedAddresses => ({
    privateRanges: [],
    metadata: false,
    missing,
    remove: () => undefined,
  });
  if (process.getuid?.() !== 0) return none('only root can give this machine an address');
  const remove = () => void ip('flush', 'dev', 'lo', 'label', LABEL);
  remove();
  const part = () => randomInt(1, 255);
  const resolver = `10.${part()}.${part()}.${part()}`;
  const privateRanges = [resolver, `172.${randomInt(20, 32)}.${part()}.${part()}`, `192.168.${part()}.${part()}`];
  const shared = `100.${randomInt(64, 128)}.${part()}.${part()}`;
  const linkLocal = `169.254.${part()}.${part()}`;
  const metadata = !(await answers(METADATA, 80));
  for (const address of [...privateRanges, shared, linkLocal, ...(metadata ? [METADATA] : [])]) {
    const problem = ip('add', `${address}/32`, 'dev', 'lo', 'label', LABEL);
    if (problem !== undefined) {
      remove();
      return none(`no address could be added: ${problem}`);
    }
  }
  return {
    privateRanges,
    shared,
    linkLocal,
    metadata,
    resolver,
    remove,
  };
}

/** What went wrong, if anything. */
function ip(...args: string[]): string | undefined {
  const { status, error, stderr } = spawnSync('ip', ['address', ...args], { encoding: 'utf8' });
  return status === 0 ? undefined : (error?.message ?? stderr.trim());
}

function answers(host: string, port: number): Promise<boolean> {
  const socket = createConnection({ host, port, timeout: 1500 });
  return new Promise((resolve) => {
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
    socket.once('timeout', () => settle(false));
  });
}
