import type {
  DownloadRequest,
  UploadRequest,
  UploadResponse,
} from '../../proto/gen/shipyard/execution/v1/file_service.js';
import type { CallContext } from '../../proto/rpc/definition.js';
import { isLinkLost } from '../../proto/rpc/link-lost.js';
import { StatusError } from '../../proto/rpc/status-error.js';
import { unknownEffect } from './forward-call.js';
import { openSeat, type Seat } from './open-seat.js';
import type { ShipsDeps } from './ships-deps.js';

/** Passes a file's bytes on, uncopied and as fast as the reader takes them. A link that breaks ends it: files change. */
export async function* forwardDownload(
  deps: ShipsDeps,
  request: DownloadRequest,
  ctx: CallContext,
): AsyncGenerator<Uint8Array, void, undefined> {
  const seat = await openSeat(deps, request.shipId, request.sessionId, ctx.cancellation);
  try {
    yield* seat.link.fileStreams().download(request, { signal: ctx.cancellation });
    seat.renew();
  } catch (error) {
    throw toFailure(error, ctx);
  } finally {
    seat.close();
  }
}

/** Passes an upload on. Its first message says where it goes. */
export async function forwardUpload(
  deps: ShipsDeps,
  requests: AsyncIterable<UploadRequest>,
  ctx: CallContext,
): Promise<UploadResponse> {
  const source = requests[Symbol.asyncIterator]();
  let seat: Seat | undefined;
  try {
    const first = await source.next();
    if (first.done || first.value.part?.$case !== 'header') {
      throw new StatusError('INVALID_ARGUMENT', 'the first message of an upload must be its header', {
        details: { field: 'header' },
      });
    }
    const { shipId, sessionId } = first.value.part.value;
    seat = await openSeat(deps, shipId, sessionId, ctx.cancellation);
    const all = prepend(first.value, source);
    const response = await seat.link.fileStreams().upload(all, { signal: ctx.cancellation });
    seat.renew();
    return response;
  } catch (error) {
    throw toFailure(error, ctx);
  } finally {
    seat?.close();
    await source.return?.();
  }
}

async function* prepend<T>(first: T, rest: AsyncIterator<T>): AsyncGenerator<T, void, undefined> {
  yield first;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

function toFailure(error: unknown, ctx: CallContext): unknown {
  return isLinkLost(error) && !ctx.cancellation.aborted ? unknownEffect(error) : error;
}
