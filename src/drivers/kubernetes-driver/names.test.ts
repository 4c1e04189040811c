import { podLabels, podName, shipName } from './names.js';

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const LABEL_VALUE = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

describe('names of a ship in a cluster', () => {
  it.each([
    '0b0f3c7e-64a5-4f0b-9f39-5a1b1d0e6f11',
    'a',
    'x'.repeat(64),
    'Ends_with-',
    `${'y'.repeat(35)}---z`,
    '__',
    'Ünïcode 🚢',
  ])('are valid for the id %s, in every incarnation', (id) => {
    const ship = { id, incarnation: 2_147_483_647 };
    expect(podName('deployment', ship)).toMatch(DNS_LABEL);
    for (const value of Object.values(podLabels('deployment', ship, 'internet'))) expect(value).toMatch(LABEL_VALUE);
  });

  it('tell ships apart whose ids differ in what a name cannot hold, and deployments', () => {
    const names = ['a_b', 'a-b', 'A-b', 'a b'].map((id) => shipName('one', id));
    expect(new Set([...names, shipName('two', 'a_b')]).size).toBe(5);
  });
});
