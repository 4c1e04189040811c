/** Codecs in the place of ts-proto's, which copies a file's bytes twice when it writes them and once when it reads them. */
import { UploadRequest } from '../gen/shipyard/execution/v1/file_service.js';
import { encodeBytesField, readBytesField } from './bytes-field.js';
import type { MessageFns } from './message.js';

export type Codec = Pick<MessageFns<unknown>, 'decode'> & { encode(message: unknown): { finish(): Uint8Array } };

/** UploadRequest.data. */
const UPLOAD_DATA = 2;

const upload: Codec = {
  encode(message) {
    const { part } = message as UploadRequest;
    if (part?.$case !== 'data') return UploadRequest.encode(message as UploadRequest);
    return { finish: () => encodeBytesField(UPLOAD_DATA, part.value) };
  },
  decode(bytes): UploadRequest {
    const value = readBytesField(UPLOAD_DATA, bytes);
    return value ? { part: { $case: 'data', value } } : UploadRequest.decode(bytes);
  },
};

export function codecOf(type: MessageFns<unknown>): Codec {
  return type === (UploadRequest as MessageFns<unknown>) ? upload : type;
}
