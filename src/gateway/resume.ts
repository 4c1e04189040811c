/** Coming back to a stream of events: the header Last-Event-ID, which EventSource sends by itself. */
import type { FastifyRequest } from 'fastify';
import { AttachExecutionRequest, type StartExecutionRequest } from '../../proto/gen/shipyard/execution/v1/execution.js';
import { StatusError } from '../../proto/rpc/status-error.js';
import type { Message } from './json/message-reader.js';

/**
 * A start that was cut: attaches behind the last event that arrived, and never starts anything.
 *
 * @returns undefined where the header is missing and the start is a first one
 * @throws StatusError INVALID_ARGUMENT where the execution has no id of the caller's: nobody could name it
 */
export function resumeStart(request: FastifyRequest, message: Message): Message | undefined {
  const last = readLastEventId(request);
  if (last === undefined) return undefined;
  const { shipId, sessionId, executionId } = message as unknown as StartExecutionRequest;
  if (executionId === '') {
    throw new StatusError('INVALID_ARGUMENT', 'header Last-Event-ID resumes an execution: give its executionId');
  }
  const attach = { ...AttachExecutionRequest.fromJSON({}), shipId, sessionId, executionId, fromSequence: last + 1 };
  return { ...attach };
}

/** The header counts before `fromSequence`: a reader that comes back repeats the URL of its first request. */
export function resumeAttach(request: FastifyRequest, message: Message): Message | undefined {
  const last = readLastEventId(request);
  return last === undefined ? undefined : { ...message, fromSequence: last + 1 };
}

function readLastEventId(request: FastifyRequest): number | undefined {
  const text = request.headers['last-event-id'];
  if (typeof text !== 'string' || text === '') return undefined; // EventSource sends none before its first event
  const last = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(last + 1)) {
    throw new StatusError(
      'INVALID_ARGUMENT',
      `header Last-Event-ID must be a sequence number, not ${text.slice(0, 40)}`,
    );
  }
  return last;
}
