import { parseNetworkAllow } from '../network-filter.js';
import { machineAddresses, networkRules } from './network-rules.js';

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
