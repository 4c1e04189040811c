/** Jest as ESM: sources import each other with `.js`, which the mapper turns back into the TypeScript file. */
const root = import.meta.dirname;

export default {
  rootDir: root,
  testEnvironment: 'node',
  testMatch: ['<rootDir>/{proto,src,ship,sdk,scripts,bench}/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'es6' }, sourceMaps: 'inline' },
    ],
  },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.cache/'],
  maxWorkers: 2,
  testTimeout: 120_000, // for hangs; a busy machine is slow,
};
