/** Execution events as items of a stream. */
import type { DescMessage } from '@bufbuild/protobuf';
import type { ExecutionEvent } from '../../proto/gen/shipyard/execution/v1/execution.js';
import type { StreamItem } from './event-stream.js';
import { MessageWriter } from './json/message-writer.js';

/** Resumable by its number, and named by the key that its JSON has. */
export function toEventItem(type: DescMessage): (event: ExecutionEvent) => StreamItem {
  const writer = MessageWriter.of(type);
  return (message) => {
    const { sequence, elapsedUs, event } = message;
    const kind = event?.$case;
    // Nearly every event is text that was printed.
    if ((kind === 'stdout' || kind === 'stderr' || kind === 'pty') && event?.value.content?.$case === 'text') {
      const text = JSON.stringify(event.value.content.value);
      return {
        json: `{"sequence":${sequence},"elapsedUs":${elapsedUs},"${kind}":{"text":${text}}}`,
        id: sequence,
        kind,
      };
    }
    const json = JSON.stringify(writer.write(message));
    return kind === undefined ? { json, id: sequence } : { json, id: sequence, kind };
  };
}

export function isEnd({ event }: ExecutionEvent): boolean {
  return event?.$case === 'ended';
}
