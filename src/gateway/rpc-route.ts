/** What the gateway knows of an rpc that has a route, all of it from the protos. */
import { ScalarType, type DescMessage, type DescMethod } from '@bufbuild/protobuf';
import {
  RAW_RESPONSE_METHODS,
  type MethodDefinitionLike,
  type ServiceDefinitionLike,
} from '../../proto/rpc/definition.js';
import type { Descriptors } from './descriptors.js';
import { MessageReader } from './json/message-reader.js';
import { parseTemplate, readRoute, variablesOf, type PathTemplate, type Route } from './http-rule.js';

export interface RpcRoute extends Route {
  /** As the client object names it: "startExecution". */
  readonly name: string;
  readonly definition: MethodDefinitionLike;
  readonly descriptor: DescMethod;
  readonly path: PathTemplate;
  /** Dotted paths of proto names that the URL's path carries. */
  readonly variables: readonly string[];
  /** Dotted path of the field that the header X-SESSION-ID fills. */
  readonly sessionPath: string | undefined;
  /** Whether answers come as encoded bytes. */
  readonly raw: boolean;
}

export function routesOf(service: ServiceDefinitionLike, descriptors: Descriptors): RpcRoute[] {
  const { methods } = descriptors.service(service.fullName);
  return Object.entries(service.methods).flatMap(([name, definition]) => {
    const route = readRoute(definition);
    if (!route) return [];
    const descriptor = methods.find((method) => method.name === definition.name);
    if (!descriptor)
      throw new Error(`the descriptors do not hold ${service.fullName}/${definition.name}: run npm run gen`);
    const path = parseTemplate(route.template);
    for (const variable of variablesOf(path)) {
      const field = MessageReader.of(descriptor.input).resolve(variable)?.field;
      if (field?.scalar !== ScalarType.STRING)
        throw new Error(`${definition.name}: {${variable}} must be a string field`);
    }
    return {
      ...route,
      name,
      definition,
      descriptor,
      path,
      variables: variablesOf(path),
      sessionPath: sessionPathOf(descriptor.input),
      raw: (RAW_RESPONSE_METHODS as readonly string[]).includes(name),
    };
  });
}

function sessionPathOf(input: DescMessage): string | undefined {
  if (input.fields.some((field) => field.name === 'session_id')) return 'session_id';
  const holder = input.fields.find((field) => field.message?.fields.some(({ name }) => name === 'session_id'));
  return holder && holder.fieldKind === 'message' ? `${holder.name}.session_id` : undefined;
}
