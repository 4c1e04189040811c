import type { AgentConfig } from './config.js';

/**
 * The agent's configuration from the text of its file. By hand, because the schema's library would take a tenth of the
 * agent's start; a test holds it against the schema of config.ts.
 *
 * @throws Error that names the field; never with a value, as one of them is the token
 */
export function parseConfig(text: string): AgentConfig {
  const read = new Reader(object(JSON.parse(text) as unknown, 'the configuration'), '');
  const python = read.section('python');
  const config: AgentConfig = {
    shipId: read.string('shipId'),
    incarnation: read.integer('incarnation'),
    token: read.string('token'),
    listen: parseListen(read.section('listen')),
    stateDir: read.string('stateDir'),
    homesDir: read.string('homesDir'),
    runDir: read.string('runDir'),
    supportDir: read.string('supportDir'),
    python: { executable: python.string('executable'), prefixes: python.strings('prefixes') },
    sandbox: parseSandbox(read.section('sandbox')),
    readOnlyPaths: read.has('readOnlyPaths') ? read.strings('readOnlyPaths') : [],
    environment: read.has('environment') ? read.stringMap('environment') : {},
    maxSessionNum: read.has('maxSessionNum') ? read.positive('maxSessionNum') : 1,
    executionLogMaxBytes: read.has('executionLogMaxBytes') ? read.positive('executionLogMaxBytes') : 1024 ** 3,
    shipLogMaxBytes: read.has('shipLogMaxBytes') ? read.positive('shipLogMaxBytes') : 4 * 1024 ** 3,
    ephemeral: read.has('ephemeral') ? read.boolean('ephemeral') : false,
    logLevel: read.has('logLevel') ? read.string('logLevel') : 'info',
  };
  if (config.token.length < 32) throw new Error('token is too short');
  if (read.has('firstSession')) {
    const first = read.section('firstSession');
    const [sessionId, uid, homeName] = [first.string('sessionId'), first.integer('uid'), first.string('homeName')];
    config.firstSession = { sessionId, uid, homeName };
  }
  if (read.has('tmpBytes')) config.tmpBytes = read.positive('tmpBytes');
  if (read.has('resolvConf')) config.resolvConf = read.string('resolvConf');
  if (read.has('cgroup')) config.cgroup = parseCgroup(read);
  if (read.has('logFile')) {
    const file = read.section('logFile');
    config.logFile = { path: file.string('path'), maxBytes: file.positive('maxBytes') };
  }
  return config;
}

function parseListen(section: Reader): AgentConfig['listen'] {
  const kind = section.string('kind');
  if (kind === 'unix') {
    const shared = section.has('shared') ? section.boolean('shared') : false;
    return { kind, path: section.string('path'), shared };
  }
  if (kind !== 'tcp') throw new Error('listen.kind is unknown');
  const [host, port] = [section.string('host'), section.integer('port')];
  if (port < 0 || port > 65_535) throw new Error('listen.port must be 0 to 65535');
  if (!section.has('tls')) return { kind, host, port };
  const tls = section.section('tls');
  const [certPem, keyPem, caPem] = [tls.string('certPem'), tls.string('keyPem'), tls.string('caPem')];
  return { kind, host, port, tls: { certPem, keyPem, caPem } };
}

function parseSandbox(section: Reader): AgentConfig['sandbox'] {
  const kind = section.string('kind');
  switch (kind) {
    case 'bwrap-uid':
    case 'bwrap-userns':
      return { kind, bwrap: section.string('bwrap') };
    case 'uid':
    case 'none':
      return { kind };
    default:
      throw new Error('sandbox.kind is unknown');
  }
}

function parseCgroup(read: Reader): NonNullable<AgentConfig['cgroup']> {
  if (read.is('cgroup', 'container')) return 'container';
  const section = read.section('cgroup');
  const version = section.integer('version');
  if (version !== 1 && version !== 2) throw new Error('cgroup.version must be 1 or 2');
  return { version, ...(section.has('memory') ? { memory: section.string('memory') } : {}) };
}

class Reader {
  constructor(
    private readonly fields: Readonly<Record<string, unknown>>,
    private readonly prefix: string,
  ) {}

  has(name: string): boolean {
    return this.fields[name] !== undefined;
  }

  is(name: string, value: string): boolean {
    return this.fields[name] === value;
  }

  string(name: string): string {
    const value = this.fields[name];
    return typeof value === 'string' ? value : this.#fail(name, 'a text');
  }

  boolean(name: string): boolean {
    const value = this.fields[name];
    return typeof value === 'boolean' ? value : this.#fail(name, 'true or false');
  }

  integer(name: string): number {
    const value = this.fields[name];
    return typeof value === 'number' && Number.isSafeInteger(value) ? value : this.#fail(name, 'a whole number');
  }

  positive(name: string): number {
    const value = this.integer(name);
    return value > 0 ? value : this.#fail(name, 'more than 0');
  }

  strings(name: string): string[] {
    const value = this.fields[name];
    if (!Array.isArray(value)) return this.#fail(name, 'a list of texts');
    return value.map((item: unknown) => (typeof item === 'string' ? item : this.#fail(name, 'a list of texts')));
  }

  stringMap(name: string): Record<string, string> {
    const entries = Object.entries(object(this.fields[name], this.prefix + name));
    return Object.fromEntries(
      entries.map(([key, value]) => [key, typeof value === 'string' ? value : this.#fail(name, 'a map of texts')]),
    );
  }

  section(name: string): Reader {
    return new Reader(object(this.fields[name], this.prefix + name), `${this.prefix}${name}.`);
  }

  #fail(name: string, what: string): never {
    throw new Error(`${this.prefix}${name} must be ${what}`);
  }
}

function object(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${name} must be an object`);
  return value as Readonly<Record<string, unknown>>;
}
