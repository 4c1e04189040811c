/** What of Bay's environment reaches the code in ships (beside PATH, HOME, USER, TERM and LANG, which are the ship's own). */
const PASSED_ON = [
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'ALL_PROXY',
  'NO_PROXY',
  'http_proxy',
  'https_proxy',
  'all_proxy',
  'no_proxy',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'NODE_EXTRA_CA_CERTS',
  'GIT_SSL_CAINFO',
  'PIP_INDEX_URL',
  'PIP_EXTRA_INDEX_URL',
  'PIP_TRUSTED_HOST',
  'PIP_CERT',
  'UV_INDEX_URL',
  'UV_DEFAULT_INDEX',
  'NPM_CONFIG_REGISTRY',
  'npm_config_registry',
];

export const SHIP_ENV_PREFIX = 'SHIP_ENV_';

export interface ShipEnvironment {
  readonly environment: Readonly<Record<string, string>>;
  /** Variables that were left out because their URL holds a credential; SHIP_ENV_<NAME> passes them on. */
  readonly withheld: readonly string[];
}

/** The environment of code in ships: TZ, proxies, authorities, package indexes, and every SHIP_ENV_<NAME> as NAME. */
export function toShipEnvironment(bay: Readonly<Record<string, string | undefined>>): ShipEnvironment {
  const environment: Record<string, string> = {
    LANG: 'C.UTF-8',
    TZ: bay.TZ || Intl.DateTimeFormat().resolvedOptions().timeZone,
  };
  const withheld: string[] = [];
  const own = Object.entries(bay).flatMap(([name, value]): [string, string][] =>
    value !== undefined && name.startsWith(SHIP_ENV_PREFIX) ? [[name.slice(SHIP_ENV_PREFIX.length), value]] : [],
  );
  const given = new Set(own.map(([name]) => name));
  for (const name of PASSED_ON) {
    const value = bay[name];
    if (!value || given.has(name)) continue;
    if (hasCredential(value)) withheld.push(name);
    else environment[name] = value;
  }
  return { environment: { ...environment, ...Object.fromEntries(own) }, withheld };
}

export function isPassedOn(name: string): boolean {
  return name === 'TZ' || PASSED_ON.includes(name);
}

/** Whether a text holds a URL with a user or password, also without a scheme, as proxies are written. */
function hasCredential(value: string): boolean {
  return value.split(/[\s,]+/).some((part) => /^(?:[a-z][a-z0-9+.-]*:\/\/)?[^/?#]*@/i.test(part));
}
