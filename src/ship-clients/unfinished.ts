import { ExecutionKind, ExecutionState } from '../../proto/gen/shipyard/execution/v1/execution.js';
import type { WatchedExecution, WatchEvent } from '../../proto/gen/shipyard/ship/v1/ship.js';

/** Which sessions of a ship have work that is not over, as its Watch stream tells. */
export class Unfinished {
  readonly #executions = new Map<string, Set<string>>();

  /** Takes an event in; answers the sessions that showed activity by it. */
  note(event: NonNullable<WatchEvent['event']>): readonly string[] {
    switch (event.$case) {
      case 'snapshot':
        this.#executions.clear();
        for (const execution of event.value.executions) this.#set(execution);
        return [...this.#executions.keys()];
      case 'execution':
        return this.#set(event.value) ? [event.value.sessionId] : [];
      case 'activity':
        return event.value.sessionIds;
      case 'kernel':
      case 'stopping':
        return [];
    }
  }

  sessions(): IterableIterator<string> {
    return this.#executions.keys();
  }

  forget(sessionId: string): void {
    this.#executions.delete(sessionId);
  }

  /** The background log of a session never ends and is nobody's work. */
  #set({ sessionId, executionId, kind, state }: WatchedExecution): boolean {
    if (kind === ExecutionKind.BACKGROUND) return false;
    const executions = this.#executions.get(sessionId) ?? new Set();
    if (state === ExecutionState.ENDED) executions.delete(executionId);
    else executions.add(executionId);
    if (executions.size === 0) this.#executions.delete(sessionId);
    else this.#executions.set(sessionId, executions);
    return true;
  }
}
