/** A database that cannot be used; the message is for whoever starts the program. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
}
