import { machineAddresses, networkRules, parseNetworkAllow } from './network-rules.js';

describe('parseNetworkAllow', () => {
  it('takes networks and addresses, with and without a port, of both families', () => {
    expect(parseNetworkAllow(' 10.1.0.0/16:3128, 192.168.1.5 ,, fd00::/8,[fd12::1]:443')).toEqual([
      { cidr: '10.1.0.0/16', family: 4, port: 3128 },
      { cidr: '192.168.1.5/32', family: 4 },
      { cidr: 'fd00::/8', family: 6 },
      { cidr: 'fd12::1/128', family: 6, port: 443 },
    ]);
    expect(parseNetworkAllow('')).toEqual([]);
  });

  it.each([
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    'mirror.example:80',
    '10.0.0.1:0',
    '10.0.0.1:65536',
    '1.2.3',
    '[10.1.1.1',
    'fd00::/129',
    '10.0.0.1; accept',
  ])('refuses %s by name', (entry) => {
    expect(() => parseNetworkAllow(entry)).toThrow(entry);
  });
});

describe('networkRules', () => {
  it('judges exceptions before blocks, and has no rule that an empty list would break', () => {
    const rules = networkRules(parseNetworkAllow('10.1.0.0/16:3128,fd00::/8'), ['203.0.113.1']);
    expect(rules.indexOf('10.1.0.0/16 meta l4proto { tcp, udp } th dport 3128 accept')).toBeLessThan(
      rules.indexOf('10.0.0.0/8'),
    );
    expect(rules).toContain('203.0.113.1');
    expect(rules).not.toContain('fd00');
    expect(networkRules([], [])).not.toContain('{  }');
  });

  it('knows the machine by its loopback at least', () => {
    expect(machineAddresses()).toContain('127.0.0.1');
  });
});
