export type EngineKind = 'docker' | 'podman' | 'podman-rootless';

export interface FoundEngine {
  readonly kind: EngineKind;
  readonly socketPath: string;
  /** As DOCKER_HOST and CONTAINER_HOST take it. */
  readonly host: string;
  readonly version: string;
}

export interface Engine extends FoundEngine {
  /** Whether this call started it. */
  readonly started: boolean;
  /** Gives it up; ends an engine of ours that nobody else holds. Does nothing to others. */
  stop(): Promise<void>;
}

/** The engine of this kind that answers, or undefined. */
export function findEngine(kind: EngineKind): Promise<FoundEngine | undefined>;
/** The same; one of our own goes on until this process ends, whoever else is done with it. */
export function keepFoundEngine(kind: EngineKind): Promise<FoundEngine | undefined>;
/** The engine that answers, or one of our own; rejects with the remedy where none can be had. */
export function ensureEngine(kind: EngineKind): Promise<Engine>;
