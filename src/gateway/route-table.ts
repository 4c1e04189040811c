import { StatusError } from '../../proto/rpc/status-error.js';
import type { PathTemplate } from './http-rule.js';

export interface Match<T> {
  readonly target: T;
  /** Decoded values of the path's variables, by their dotted names. */
  readonly variables: Readonly<Record<string, string>>;
}

interface Entry<T> {
  readonly httpMethod: string;
  readonly template: PathTemplate;
  readonly target: T;
}

/**
 * Finds the rpc of a method and a path. A verb (":stop") binds before a variable that could hold it; a colon that is
 * percent-encoded never is a verb's. A few dozen templates, so that comparing them in turn costs nothing.
 */
export class RouteTable<T> {
  readonly #entries: Entry<T>[] = [];

  add(httpMethod: string, template: PathTemplate, target: T): void {
    this.#entries.push({ httpMethod, template, target });
  }

  /**
   * @param path undecoded, without the query
   * @returns the methods that the path knows where this is none of them; undefined where it knows none
   * @throws StatusError INVALID_ARGUMENT where a segment is not percent-encoded UTF-8
   */
  find(httpMethod: string, path: string): Match<T> | { readonly allowed: readonly string[] } | undefined {
    const segments = path.slice(1).split('/');
    const last = segments[segments.length - 1] ?? '';
    const colon = last.lastIndexOf(':');
    if (colon >= 0) {
      const found = this.#match(httpMethod, [...segments.slice(0, -1), last.slice(0, colon)], last.slice(colon + 1));
      if (found) return found;
    }
    return this.#match(httpMethod, segments, '');
  }

  #match(httpMethod: string, segments: readonly string[], verb: string): ReturnType<RouteTable<T>['find']> {
    const fitting = this.#entries.filter(({ template }) => template.verb === verb && fits(template, segments));
    const entry = fitting.find((candidate) => candidate.httpMethod === httpMethod);
    if (entry) return { target: entry.target, variables: readVariables(entry.template, segments) };
    if (fitting.length === 0) return undefined;
    return { allowed: [...new Set(fitting.map((candidate) => candidate.httpMethod))].sort() };
  }
}

function fits({ segments }: PathTemplate, path: readonly string[]): boolean {
  return (
    segments.length === path.length &&
    segments.every((segment, index) => ('literal' in segment ? segment.literal === path[index] : path[index] !== ''))
  );
}

function readVariables({ segments }: PathTemplate, path: readonly string[]): Record<string, string> {
  const variables: Record<string, string> = {};
  segments.forEach((segment, index) => {
    if ('variable' in segment) variables[segment.variable] = decode(path[index] ?? '');
  });
  return variables;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new StatusError('INVALID_ARGUMENT', `not percent-encoded UTF-8 in the path: ${segment.slice(0, 80)}`);
  }
}
