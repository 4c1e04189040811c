import { agentConfigSchema } from './config.js';
import { parseConfig } from './parse-config.js';

const LEAST = {
  shipId: 's',
  incarnation: 2,
  token: 't'.repeat(64),
  listen: { kind: 'unix', path: '/run/a.sock' },
  stateDir: '/state',
  homesDir: '/homes',
  runDir: '/run',
  supportDir: '/support',
  python: { executable: '/usr/bin/python3', prefixes: ['/usr'] },
  sandbox: { kind: 'none' },
};

const TCP = { kind: 'tcp', host: '0.0.0.0', port: 8123 };

const ALL = {
  ...LEAST,
  sandbox: { kind: 'bwrap-uid', bwrap: '/usr/bin/bwrap' },
  tmpBytes: 1_000_000,
  readOnlyPaths: ['/opt'],
  resolvConf: '/run/resolv.conf',
  environment: { LANG: 'C.UTF-8' },
  maxSessionNum: 4,
  firstSession: { sessionId: 'an agent', uid: 10_000, homeName: 'session-1' },
  cgroup: { version: 2, memory: '/sys/fs/cgroup/x' },
  executionLogMaxBytes: 1000,
  shipLogMaxBytes: 4000,
  ephemeral: true,
  logLevel: 'debug',
  logFile: { path: '/log/agent.log', maxBytes: 100 },
};

describe('parseConfig', () => {
  it.each([
    ['the least', LEAST],
    ['everything', ALL],
    ['a cgroup without memory', { ...LEAST, cgroup: { version: 1 } }],
    ["a container's own cgroup", { ...LEAST, cgroup: 'container' }],
    ['uids alone', { ...LEAST, sandbox: { kind: 'uid' } }],
    ['a shared socket', { ...LEAST, listen: { ...LEAST.listen, shared: true } }],
    ['a port', { ...LEAST, listen: TCP }],
    ['a port with TLS', { ...LEAST, listen: { ...TCP, tls: { certPem: 'a', keyPem: 'b', caPem: 'c' } } }],
  ])('reads %s as the schema does', (_, config) => {
    expect(parseConfig(JSON.stringify(config))).toEqual(agentConfigSchema.parse(config));
  });

  it.each([
    ['a missing field', { ...LEAST, stateDir: undefined }],
    ['a wrong type', { ...LEAST, incarnation: '2' }],
    ['an unknown way to listen', { ...LEAST, listen: { kind: 'pigeon' } }],
    ['a port out of range', { ...LEAST, listen: { ...TCP, port: 65_536 } }],
    ['TLS without a key', { ...LEAST, listen: { ...TCP, tls: { certPem: 'a', caPem: 'c' } } }],
    ['an unknown sandbox', { ...LEAST, sandbox: { kind: 'jail' } }],
    ['a sandbox without its program', { ...LEAST, sandbox: { kind: 'bwrap-uid' } }],
    ['a short token', { ...LEAST, token: 'tiny' }],
    ['no room for sessions', { ...LEAST, maxSessionNum: 0 }],
    ['a cgroup of no such version', { ...LEAST, cgroup: { version: 3 } }],
    ['a cgroup by another name', { ...LEAST, cgroup: 'pod' }],
    ['an environment of numbers', { ...LEAST, environment: { A: 1 } }],
  ])('refuses %s as the schema does, without a value in the text', (_, config) => {
    expect(agentConfigSchema.safeParse(config).success).toBe(false);
    expect(() => parseConfig(JSON.stringify(config))).toThrow(/^(?!.*tiny).*(must be|unknown|too short)/);
  });
});
