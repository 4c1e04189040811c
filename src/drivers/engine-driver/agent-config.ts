import type { z } from 'zod';
import type { agentConfigSchema } from '../../../ship/src/config.js';
import type { Ship } from '../../ships/ship.js';
import { INSIDE } from './inside.js';
import type { EngineDriverOptions } from './options.js';

/** The agent's whole configuration in a container. It holds the token, and reaches the agent by its standard input. */
export function agentConfigFor(
  ship: Ship,
  token: string,
  place: { readonly network: 'none' | 'internet' | 'open'; readonly environment: Readonly<Record<string, string>> },
  options: EngineDriverOptions,
): z.input<typeof agentConfigSchema> {
  return {
    shipId: ship.id,
    incarnation: ship.incarnation,
    token,
    listen:
      place.network === 'none'
        ? { kind: 'unix', path: INSIDE.socket }
        : { kind: 'tcp', host: '0.0.0.0', port: INSIDE.port },
    stateDir: INSIDE.state,
    homesDir: INSIDE.homes,
    runDir: INSIDE.run,
    supportDir: INSIDE.support,
    python: { executable: INSIDE.python, prefixes: [] },
    sandbox: { kind: 'uid' },
    environment: { ...place.environment },
    maxSessionNum: ship.maxSessionNum,
    ...(options.executionLogMaxBytes === undefined ? {} : { executionLogMaxBytes: options.executionLogMaxBytes }),
    ...(options.shipLogMaxBytes === undefined ? {} : { shipLogMaxBytes: options.shipLogMaxBytes }),
    ephemeral: options.ephemeral,
    ...(options.logLevel === undefined ? {} : { logLevel: options.logLevel }),
  };
}

/** Variables that name authorities by files: those of Bay's machine mean nothing in a container. */
const AUTHORITY_FILES = [
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'NODE_EXTRA_CA_CERTS',
  'GIT_SSL_CAINFO',
  'PIP_CERT',
];

/** The sessions' environment: what Bay passes on, with the image's authorities in place of those of Bay's machine. */
export function environmentInside(
  passedOn: Readonly<Record<string, string>>,
  ofImage: Readonly<Record<string, string>>,
): Record<string, string> {
  const environment = { ...passedOn };
  for (const name of AUTHORITY_FILES) {
    delete environment[name];
    const value = ofImage[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}
