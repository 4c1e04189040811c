/** google.api.http options: which rpc a method and a path mean. */
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { HttpRule } from '../../proto/gen/google/api/http.js';
import type { MethodDefinitionLike } from '../../proto/rpc/definition.js';

/** Tag of the extension google.api.http: field 72295728, length-delimited. */
const HTTP_OPTION_TAG = 578365826;

export interface Route {
  readonly httpMethod: 'GET' | 'PUT' | 'POST' | 'DELETE' | 'PATCH';
  /** As the proto writes it: "/v1/ships/{start.ship_id}/executions:run". */
  readonly template: string;
  /** Whether the whole message but the path's variables is the body; else it comes in the query. */
  readonly hasBody: boolean;
}

/** @returns undefined where the method has no route */
export function readRoute(method: MethodDefinitionLike): Route | undefined {
  const option = method.options._unknownFields?.[HTTP_OPTION_TAG]?.[0];
  if (!option) return undefined;
  const rule = HttpRule.decode(new BinaryReader(option).bytes());
  const { pattern, body } = rule;
  if (!pattern || pattern.$case === 'custom') throw new Error(`${method.name}: only get, put, post, delete and patch`);
  if (body !== '' && body !== '*') throw new Error(`${method.name}: only body "*" is supported`);
  if (rule.additionalBindings.length > 0) throw new Error(`${method.name}: only one binding is supported`);
  const httpMethod = pattern.$case.toUpperCase() as Route['httpMethod'];
  return { httpMethod, template: pattern.value, hasBody: body === '*' };
}

type Segment = { readonly literal: string } | { readonly variable: string };

/** A template in its parts: segments between slashes, and what follows the last one's colon. */
export interface PathTemplate {
  readonly segments: readonly Segment[];
  readonly verb: string;
}

export function parseTemplate(template: string): PathTemplate {
  const match = /^\/(.*?)(?::([A-Za-z]+))?$/.exec(template);
  if (!match) throw new Error(`not a path template: ${template}`);
  const segments = (match[1] ?? '').split('/').map((text): Segment => {
    const variable = /^\{([a-z0-9_.]+)\}$/.exec(text)?.[1];
    if (variable === undefined && /[{}*]/.test(text)) throw new Error(`not supported in a path template: ${text}`);
    return variable === undefined ? { literal: text } : { variable };
  });
  return { segments, verb: match[2] ?? '' };
}

/** Names of a template's variables: dotted paths of proto names. */
export function variablesOf({ segments }: PathTemplate): string[] {
  return segments.flatMap((segment) => ('variable' in segment ? [segment.variable] : []));
}
