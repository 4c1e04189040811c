/** A database that cannot be used; the message is for whoever starts the program. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  /** Whether it is only that another Bay holds it. */
  readonly inUse: boolean;

  constructor(message: string, options: { inUse?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.inUse = options.inUse ?? false;
  }
}
