/** What ts-proto generates for a message, as far as the kit uses it. */
export interface MessageFns<T> {
  encode(message: T, writer?: never): { finish(): Uint8Array };
  decode(input: Uint8Array, length?: number): T;
  fromJSON(object: unknown): T;
  toJSON(message: T): unknown;
}
