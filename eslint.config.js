import tseslint from 'typescript-eslint';

/** Imports point one way (ARCHITECTURE.md, "Folders"); a folder names what it must not see. */
const directions = [
  { files: ['proto/**/*.ts'], forbid: ['src', 'ship'] },
  {
    files: ['src/gateway/**/*.ts', 'src/grpc/**/*.ts'],
    forbid: ['src/ships', 'src/store', 'src/drivers', 'src/ship-clients', 'ship'],
  },
  { files: ['src/ships/**/*.ts'], forbid: ['src/gateway', 'src/grpc', 'src/drivers/local-driver', 'ship/src'] },
  { files: ['src/drivers/**/*.ts'], forbid: ['src/gateway', 'src/grpc', 'src/store', 'src/ship-clients'] },
  // Probes are outsiders; of Bay they know how a ship's token is made.
  {
    files: ['probe/**/*.ts'],
    forbid: ['src/gateway', 'src/grpc', 'src/ships', 'src/store', 'src/drivers', 'src/interceptors', 'ship'],
  },
  { files: ['src/store/**/*.ts'], forbid: ['src/gateway', 'src/grpc', 'src/drivers', 'src/ship-clients', 'ship'] },
  { files: ['ship/src/python/**/*.ts'], forbid: ['src', 'ship/src/shell', 'ship/src/files'] },
  { files: ['ship/src/shell/**/*.ts'], forbid: ['src', 'ship/src/python', 'ship/src/files'] },
  { files: ['ship/src/files/**/*.ts'], forbid: ['src', 'ship/src/python', 'ship/src/shell'] },
  {
    files: ['ship/src/executions/**/*.ts', 'ship/src/workspace/**/*.ts'],
    forbid: ['src', 'ship/src/python', 'ship/src/shell', 'ship/src/files'],
  },
];

const importDirection = {
  meta: { type: 'problem', schema: [{ type: 'array', items: { type: 'string' } }] },
  create(context) {
    const forbidden = context.options[0];
    const root = import.meta.dirname;
    const folderOf = (specifier) => {
      const path = new URL(specifier, `file://${context.filename}`).pathname;
      return path.slice(root.length + 1);
    };
    const check = (node) => {
      const specifier = node.source?.value;
      if (typeof specifier !== 'string' || !specifier.startsWith('.')) return;
      const target = folderOf(specifier);
      const hit = forbidden.find((folder) => target.startsWith(`${folder}/`));
      if (hit)
        context.report({
          node,
          message: `import of ${target}: this folder must not see ${hit}/ (ARCHITECTURE.md, "Folders")`,
        });
    };
    return { ImportDeclaration: check, ExportNamedDeclaration: check, ExportAllDeclaration: check };
  },
};

const tests = ['**/*.test.ts', '**/testing/**', '**/e2e/**', 'bench/**'];

export default tseslint.config(
  {
    ignores: [
      'node_modules/**',
      '**/node_modules/**',
      'dist/**',
      'proto/gen/**',
      '.cache/**',
      '.venv/**',
      'sdk/python/**',
    ],
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
  },
  {
    files: ['**/*.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector:
            "CallExpression[callee.object.name='AbortSignal'][callee.property.name='any'] CallExpression[callee.property.name='timeout']",
          message: 'such a timeout can be collected before it comes: use timeoutSignal()',
        },
      ],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/require-await': 'off', // an async function without await still turns throws into rejections
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_' },
      ],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: [
      'src/config.ts',
      'src/main.ts',
      'src/cli/**',
      'src/**/*.test.ts',
      'src/**/testing/**',
      'src/e2e/**',
      'src/drivers/conformance*.ts',
    ],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'src/config.ts is the only reader of the environment' },
      ],
    },
  },
  ...directions.map(({ files, forbid }) => ({
    files,
    ignores: tests,
    plugins: { shipyard: { rules: { 'import-direction': importDirection } } },
    rules: { 'shipyard/import-direction': ['error', forbid] },
  })),
);
