import { StatusError } from '../../proto/rpc/status-error.js';
import type {
  SessionBinding,
  SessionDirectory,
  SessionRunner,
  SessionRunnerFactory,
} from './workspace/session-runner.js';

interface BoundSession {
  readonly binding: SessionBinding;
  /** The runner, or what is about to be it; undefined where the last one went away. */
  runner: Promise<SessionRunner> | undefined;
}

/** The sessions that Bay let in, and the sandboxes that hold them. */
export class Sessions implements SessionDirectory {
  readonly #bound = new Map<string, BoundSession>();
  #stopping = false;

  constructor(
    private readonly factory: () => Promise<SessionRunnerFactory>,
    private readonly maxSessions: number,
  ) {}

  /**
   * Lets a session in and prepares its place. Safe to repeat.
   *
   * @throws StatusError FENCED for another uid or home than the one it is bound with, SESSION_LIMIT_REACHED, SHUTTING_DOWN
   */
  async bind(binding: SessionBinding): Promise<SessionRunner> {
    const known = this.#bound.get(binding.sessionId);
    if (known) {
      if (known.binding.uid !== binding.uid || known.binding.homeName !== binding.homeName)
        throw new StatusError('FENCED', `the session is bound with uid ${known.binding.uid}`, {
          details: { uid: known.binding.uid },
        });
      return this.#open(known);
    }
    if (this.#stopping) throw shuttingDown();
    for (const { binding: other } of this.#bound.values())
      if (other.uid === binding.uid || other.homeName === binding.homeName)
        throw new StatusError('FENCED', `uid ${binding.uid} or its home belongs to another session`);
    if (this.#bound.size >= this.maxSessions)
      throw new StatusError('SESSION_LIMIT_REACHED', `the ship holds ${this.maxSessions} sessions`, {
        details: { max_session_num: this.maxSessions },
      });
    const session: BoundSession = { binding, runner: undefined };
    this.#bound.set(binding.sessionId, session);
    try {
      return await this.#open(session);
    } catch (error) {
      if (this.#bound.get(binding.sessionId) === session) this.#bound.delete(binding.sessionId);
      throw error;
    }
  }

  /** @throws StatusError SESSION_NOT_BOUND, SHUTTING_DOWN */
  check(sessionId: string): void {
    this.#find(sessionId);
  }

  async runner(sessionId: string): Promise<SessionRunner> {
    return this.#open(this.#find(sessionId));
  }

  /** The ship ends: no session is let in any more, and one that was put out hears why, since it has lost no right. */
  close(): void {
    this.#stopping = true;
  }

  /** From now on the session has no rights here; its sandbox is still there, for whoever tidies up. */
  unbind(sessionId: string): { close(): Promise<void> } {
    const session = this.#bound.get(sessionId);
    this.#bound.delete(sessionId);
    return {
      close: async () => {
        const runner = await session?.runner?.catch(() => undefined); // one that never opened needs no closing
        await runner?.close();
      },
    };
  }

  list(): readonly SessionBinding[] {
    return [...this.#bound.values()].map(({ binding }) => binding);
  }

  #find(sessionId: string): BoundSession {
    const session = this.#bound.get(sessionId);
    if (session) return session;
    if (this.#stopping) throw shuttingDown();
    throw new StatusError('SESSION_NOT_BOUND', 'the session is not bound to this ship');
  }

  #open(session: BoundSession): Promise<SessionRunner> {
    if (session.runner) return session.runner;
    const opening = this.factory().then((factory) => factory.open(session.binding));
    session.runner = opening;
    const forget = (): void => {
      if (session.runner === opening) session.runner = undefined;
    };
    opening.then((runner) => runner.gone.then(forget), forget);
    return opening;
  }
}

function shuttingDown(): StatusError {
  return new StatusError('SHUTTING_DOWN', 'the ship is stopping');
}
