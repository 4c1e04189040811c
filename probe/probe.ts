import type { Scene } from './scene.js';

/** One attempt on the walls of a ship, made from inside by a session that may do all that sessions may. */
export interface Probe {
  /** Lower case with hyphens; what `--only` takes. */
  readonly name: string;
  /** What it attempts, as the end of a sentence that begins with "An attacker in a ship tries to". */
  readonly attempts: string;
  /** Throws where it could not tell, for instance where an attack does not find what was laid out for it to find. */
  run(scene: Scene): Promise<Finding>;
}

/** What was seen; never an attacker's word alone. */
export type Finding =
  | { readonly verdict: 'held'; readonly evidence: string }
  | { readonly verdict: 'breached'; readonly evidence: string }
  /** Nothing was attempted, or nothing of it counts here. */
  | { readonly verdict: 'not applicable'; readonly reason: string };

export const held = (evidence: string): Finding => ({ verdict: 'held', evidence });
export const breached = (evidence: string): Finding => ({ verdict: 'breached', evidence });
export const notApplicable = (reason: string): Finding => ({ verdict: 'not applicable', reason });

/** A finding with the probe that it is of; `broken` where the probe threw, which says nothing of the walls. */
export type Result = { readonly probe: string; readonly attempts: string; readonly seconds: number } & (
  Finding | { readonly verdict: 'broken'; readonly error: string }
);

/** Of a probe for which there is nobody to be robbed, or nothing that holds. */
export const NO_NEIGHBOUR = notApplicable('a ship takes one session at a time here');
export const ONE_USER = notApplicable('agent and session share a user here, as the isolation of the ship says');
