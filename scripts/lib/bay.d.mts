export interface OwnBay {
  readonly url: string;
  readonly port: number;
  readonly grpcPort: number;
  /** `host:port`, for gRPC. */
  readonly grpcAddress: string;
  readonly token: string;
  /** Everything that Bay and its ships keep lies below; `bay.log` is what Bay wrote. */
  readonly folder: string;
  readonly pid: number;
  /** Exit code, or the name of the signal. */
  readonly exited: Promise<number | string>;
  /** SIGTERM, waits, removes the folder. Answers as `exited`. */
  stop(): Promise<number | string>;
  /** SIGKILL, waits; the folder and the ships stay. */
  kill(): Promise<void>;
  /** Starts Bay again on the same ports and folder, after stop or kill. */
  restart(): Promise<void>;
}
export function startOwnBay(environment?: Record<string, string>): Promise<OwnBay>;
