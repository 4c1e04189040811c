export interface EnginePlace {
  /** On which claims are locks. */
  readonly claims: string;
  /** Holds the engine's process id. */
  readonly pid: string;
  readonly pausePid: string;
  /** Named in the engine's command line. */
  readonly folder: string;
}

/** Claims an engine of ours; what it answers gives the claim up, and ends the engine where it was the last one. */
export function claimEngine(place: EnginePlace): Promise<() => Promise<void>>;
