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

  constructor(
    private readonly factory: () => Promise<SessionRunnerFactory>,
    private readonly maxSessions: number,
  ) {}

  /**
   * Lets a session in and prepares its place. Safe to repeat.
   *
   * @throws StatusError FENCED for another uid or home than the one it is bound with, SESSION_LIMIT_REACHED
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

  /** @throws StatusError SESSION_NOT_BOUND */
  check(sessionId: string): void {
    if (!this.#bound.has(sessionId)) throw notBound();
  }

  async runner(sessionId: string): Promise<SessionRunner> {
    const session = this.#bound.get(sessionId);
    if (!session) throw notBound();
    return this.#open(session);
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

function notBound(): StatusError {
  return new StatusError('SESSION_NOT_BOUND', 'the session is not bound to this ship');
}
