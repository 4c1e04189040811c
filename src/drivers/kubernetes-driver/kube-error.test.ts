import { isNotFound, toDriverError, toKubeError } from './kube-error.js';

const status = (reason: string, details: object) =>
  JSON.stringify({ kind: 'Status', reason, message: 'not found', details });

describe('an object that is not there', () => {
  it.each([
    ['the server says so of it', status('NotFound', { name: 'ship-a', kind: 'persistentvolumeclaims' }), true],
    ['the server says so of another', status('NotFound', { name: 'ships', kind: 'namespaces' }), false],
    ['the server does not serve its kind yet', status('NotFound', {}), false],
    ['something on the way knows nothing', '<h1>404 page not found</h1>', false],
  ])('where %s: %#', (_who, body, isGone) => {
    expect(isNotFound(toKubeError(404, body), 'ship-a')).toBe(isGone);
  });

  it('is no refusal where the server itself has not said it', () => {
    expect(toDriverError('looking', toKubeError(404, 'page not found')).reason).toBe('DRIVER_UNAVAILABLE');
    expect(toDriverError('looking', toKubeError(404, status('NotFound', { name: 'ships' }))).reason).toBe(
      'DRIVER_REFUSED',
    );
  });
});
