/** ZMTP 3.0 on the wire (rfc.zeromq.org/spec/23): a greeting, then frames, of which some are commands. */

export type SocketType = 'DEALER' | 'SUB';

const FLAG = { more: 0x01, long: 0x02, command: 0x04 } as const;
const MECHANISM = 'NULL';

/** Signature (10 bytes), version (2), mechanism (20), role (1), filler (31). */
export const GREETING_BYTES = 64;

export function encodeGreeting(): Buffer {
  const greeting = Buffer.alloc(GREETING_BYTES);
  greeting[0] = 0xff;
  greeting[9] = 0x7f;
  greeting[10] = 3; // 3.0: to a later minor version a peer would send commands that this side need not know
  greeting.write(MECHANISM, 12, 'latin1');
  return greeting;
}

/** @throws Error where nothing that follows could be understood */
export function checkGreeting(greeting: Buffer): void {
  if (greeting[0] !== 0xff || greeting[9] !== 0x7f) throw new Error('the peer does not speak ZMTP');
  if (greeting[10]! < 3) throw new Error(`the peer speaks ZMTP ${greeting[10]}, not 3`);
  const mechanism = greeting.toString('latin1', 12, 32).replace(/\0+$/, '');
  if (mechanism !== MECHANISM) throw new Error(`the peer wants the mechanism ${mechanism}`);
}

const READY = Buffer.from('\x05READY', 'latin1');

/** What each side says of itself once, behind the greetings. Before the peer has said it, it takes no message. */
export function encodeReady(type: SocketType, identity: string): Buffer {
  const properties = [property('Socket-Type', type), property('Identity', identity)];
  return encodeFrame(FLAG.command, Buffer.concat([READY, ...properties]));
}

export function isReady(command: Buffer): boolean {
  return command.length >= READY.length && command.compare(READY, 0, READY.length, 0, READY.length) === 0;
}

/** Everything that is published, please. */
export const SUBSCRIPTION = encodeFrame(0, Buffer.of(0x01));

/** All frames of a message in one piece: they are small, and each piece is work for the system. */
export function encodeMessage(frames: readonly Buffer[]): Buffer {
  const last = frames.length - 1;
  return Buffer.concat(frames.map((frame, index) => encodeFrame(index < last ? FLAG.more : 0, frame)));
}

export interface FrameHeader {
  readonly isCommand: boolean;
  readonly hasMore: boolean;
  /** Of the header itself. */
  readonly bytes: number;
  /** Of what follows it. */
  readonly length: number;
}

/** The header at this place, or undefined where not all of it has come. */
export function readHeader(bytes: Buffer, at: number): FrameHeader | undefined {
  const flags = bytes[at];
  if (flags === undefined) return undefined;
  const isLong = (flags & FLAG.long) !== 0;
  const size = isLong ? 9 : 2;
  if (bytes.length - at < size) return undefined;
  return {
    isCommand: (flags & FLAG.command) !== 0,
    hasMore: (flags & FLAG.more) !== 0,
    bytes: size,
    // Beyond 2^53 it is not exact, which is far beyond what is taken.
    length: isLong ? bytes.readUInt32BE(at + 1) * 2 ** 32 + bytes.readUInt32BE(at + 5) : bytes[at + 1]!,
  };
}

function encodeFrame(flags: number, body: Buffer): Buffer {
  if (body.length < 256) return Buffer.concat([Buffer.of(flags, body.length), body]);
  const header = Buffer.alloc(9);
  header[0] = flags | FLAG.long;
  header.writeBigUInt64BE(BigInt(body.length), 1);
  return Buffer.concat([header, body]);
}

function property(name: string, value: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(value));
  return Buffer.concat([Buffer.of(name.length), Buffer.from(name, 'latin1'), length, Buffer.from(value)]);
}
