import { checkImageName } from './image-name.js';

describe('the name of an image', () => {
  it.each([
    'ship',
    'ship:latest',
    'localhost/ship:1.0_rc-2',
    'registry.example.org:5000/team/ship__x-y.z:V1',
    '[::1]:5000/ship',
    `ship@sha256:${'a'.repeat(64)}`,
    `sha256:${'0'.repeat(64)}`,
    'f'.repeat(12),
  ])('may be %s', (name) => {
    expect(() => checkImageName(name)).not.toThrow();
  });

  it.each([
    '',
    'UPPER bad',
    'Ship',
    'ship latest',
    'ship:',
    'ship:a:b',
    '/ship',
    'ship/',
    'a//b',
    '../ship',
    'ship?x=1',
  ])('is not "%s"', (name) => {
    expect(() => checkImageName(name)).toThrow(/is no name of an image/);
  });
});
