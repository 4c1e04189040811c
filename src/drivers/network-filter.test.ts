import { parseNetworkAllow } from './network-filter.js';

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
