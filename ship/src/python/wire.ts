import { createHmac, createSecretKey, randomUUID, timingSafeEqual, type KeyObject } from 'node:crypto';
import type { KernelMessage } from '@jupyterlab/services';

/** What the agent sends. */
export type RequestType = Extract<
  KernelMessage.MessageType,
  'execute_request' | 'kernel_info_request' | 'shutdown_request' | 'input_reply'
>;

/** A message from the kernel. The session's code can make it say anything, so nothing in `content` is taken for granted. */
export interface KernelReply {
  readonly type: string;
  /** Id of the request that this belongs to; empty where there is none. */
  readonly parentId: string;
  readonly content: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly buffers: readonly Buffer[];
}

const DELIMITER = Buffer.from('<IDS|MSG>');
const EMPTY_OBJECT = Buffer.from('{}');

/** Jupyter's wire format 5.3: multipart messages, signed with HMAC-SHA256. */
export class Wire {
  readonly #key: KeyObject;
  readonly #session = randomUUID();
  #count = 0;

  /** @param key the connection file's, as text */
  constructor(key: string) {
    this.#key = createSecretKey(Buffer.from(key, 'utf8'));
  }

  nextId(): string {
    return `${this.#session}_${this.#count++}`;
  }

  encode(id: string, type: RequestType, content: object): Buffer[] {
    const header = {
      msg_id: id,
      session: this.#session,
      username: 'shipyard',
      date: new Date().toISOString(),
      msg_type: type,
      version: '5.3',
    };
    const parts = [
      Buffer.from(JSON.stringify(header)),
      EMPTY_OBJECT,
      EMPTY_OBJECT,
      Buffer.from(JSON.stringify(content)),
    ];
    return [DELIMITER, Buffer.from(this.#sign(parts).toString('hex')), ...parts];
  }

  /** @throws Error where the frames are not a message of this format, or are not signed with our key */
  decode(frames: readonly Buffer[]): KernelReply {
    const start = frames.findIndex((frame) => frame.length === DELIMITER.length && frame.equals(DELIMITER));
    const [signature, header, parent, metadata, content, ...buffers] = start < 0 ? [] : frames.slice(start + 1);
    if (!signature || !header || !parent || !metadata || !content)
      throw new Error(`a message of ${frames.length} frames`);
    const given = Buffer.from(signature.toString('latin1'), 'hex');
    const right = this.#sign([header, parent, metadata, content]);
    if (given.length !== right.length || !timingSafeEqual(given, right))
      throw new Error('a message with a wrong signature');
    return {
      type: toText(parseObject(header)['msg_type']),
      parentId: toText(parseObject(parent)['msg_id']),
      content: parseObject(content),
      metadata: metadata.length === 2 ? {} : parseObject(metadata),
      buffers,
    };
  }

  #sign(parts: readonly Buffer[]): Buffer {
    const hmac = createHmac('sha256', this.#key);
    for (const part of parts) hmac.update(part);
    return hmac.digest();
  }
}

function parseObject(json: Buffer): Readonly<Record<string, unknown>> {
  return toObject(JSON.parse(json.toString('utf8')));
}

/** The value where it is a JSON object, else an empty one. */
export function toObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

/** The value where it is text, else "". */
export function toText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The value where it is a whole number that JSON carries exactly, else 0. */
export function toInteger(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : 0;
}
