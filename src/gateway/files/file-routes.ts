/** GET and PUT of a file's bytes: the two rpcs of FileService that no google.api.http option can express. */
import type { DescMessage } from '@bufbuild/protobuf';
import type { UploadHeader } from '../../../proto/gen/shipyard/execution/v1/file_service.js';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { openCall, readSessionId } from '../call.js';
import type { Descriptors } from '../descriptors.js';
import { parseTemplate } from '../http-rule.js';
import { MessageWriter } from '../json/message-writer.js';
import { parseQuery } from '../query.js';
import { readRequest } from '../read-request.js';
import { allowBody, declaredLength, hasBody, tooLarge } from '../request-body.js';
import type { RouteTable } from '../route-table.js';
import { sendJson, type V1Handler, type V1Request } from '../transcode.js';
import { sendDownload, type FileClient, type FileTarget } from './download.js';
import { uploadRequests } from './upload.js';

export const FILE_CONTENT_TEMPLATE = '/v1/ships/{ship_id}/files/content';

export interface FileRouteDeps {
  readonly files: FileClient;
  readonly descriptors: Descriptors;
  readonly maxUploadBytes: number;
}

export function addFileRoutes(table: RouteTable<V1Handler>, deps: FileRouteDeps): void {
  const path = parseTemplate(FILE_CONTENT_TEMPLATE);
  const { methods } = deps.descriptors.service('shipyard.execution.v1.FileService');
  const download = methods.find(({ name }) => name === 'Download');
  const upload = methods.find(({ name }) => name === 'Upload');
  if (!download || !upload) throw new Error('the descriptors do not hold Upload and Download: run npm run gen');
  const header = deps.descriptors.message('shipyard.execution.v1.UploadHeader');

  table.add('GET', path, async (matched) => {
    if (hasBody(matched.request.raw)) throw new StatusError('INVALID_ARGUMENT', 'GET takes no body');
    const { offset, length, ...target } = readFields<FileTarget & { offset: number; length: number }>(
      download.input,
      matched,
    );
    if (offset !== 0 || length !== 0) {
      throw new StatusError('INVALID_ARGUMENT', 'over HTTP a part of a file is asked for by the header Range');
    }
    await sendDownload(deps.files, matched.request, matched.reply, target, { ranges: true });
  });

  const writer = MessageWriter.of(upload.output);
  table.add('PUT', path, async (matched) => {
    const { request, reply } = matched;
    const fields = readFields<UploadHeader>(header, matched);
    if (request.headers['content-range'] !== undefined) {
      throw new StatusError('INVALID_ARGUMENT', 'header Content-Range is not taken: a file is written whole');
    }
    const declared = declaredLength(request.raw);
    if (declared !== undefined && declared > deps.maxUploadBytes) throw tooLarge(deps.maxUploadBytes, declared);
    const sizeBytes = declared ?? fields.sizeBytes;
    if (fields.sizeBytes !== undefined && fields.sizeBytes !== sizeBytes) {
      throw new StatusError('INVALID_ARGUMENT', `query parameter sizeBytes differs from content-length ${sizeBytes}`);
    }
    const call = openCall(request, reply);
    allowBody(request.raw, reply.raw);
    const limits = { maxBytes: deps.maxUploadBytes, signal: call.signal };
    const requests = failureOf(uploadRequests({ ...fields, sizeBytes }, request.raw, limits));
    try {
      sendJson(reply, writer, await deps.files.upload(requests.iterable, call));
    } catch (thrown) {
      throw requests.failure ?? thrown; // what broke the body off is the cause, whatever the other side makes of it
    }
  });
}

function failureOf<T>(source: AsyncIterable<T>): { readonly iterable: AsyncIterable<T>; failure?: unknown } {
  const watched: { iterable: AsyncIterable<T>; failure?: unknown } = { iterable: watch() };
  return watched;

  async function* watch(): AsyncGenerator<T> {
    try {
      yield* source;
    } catch (thrown) {
      watched.failure = thrown;
      throw thrown;
    }
  }
}

function readFields<T>(type: DescMessage, { request, variables }: V1Request): T {
  const query = parseQuery(request.raw.url ?? '');
  const session = { path: 'session_id', id: readSessionId(request) };
  return readRequest(type, { variables, query, session }) as T;
}
