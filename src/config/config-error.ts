export interface ConfigProblem {
  readonly variable: string;
  /** As it was given; unset where that is the problem. Never a secret. */
  readonly value?: string;
  /** Where it stands, if not in the environment. */
  readonly file?: string;
  /** What is allowed, as the end of a sentence. */
  readonly allowed: string;
}

/** Everything that is wrong with the configuration, for whoever starts Bay. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    const lines = problems.map(
      ({ variable, value, file, allowed }) =>
        `  ${variable}${value === undefined ? '' : `=${value}`}: ${allowed}${file === undefined ? '' : ` (in ${file})`}`,
    );
    super(`Bay cannot start with this configuration:\n${lines.join('\n')}`);
    this.problems = problems;
  }
}
