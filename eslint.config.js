import eslint from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** Which top-level folders a folder must not import from: imports run one way (cli, workers -> workflows, activities -> engine, alignment, infra). */
const forbiddenImports = {
  engine: ['alignment', 'infra', 'activities', 'workflows', 'workers', 'cli'],
  alignment: ['engine', 'infra', 'activities', 'workflows', 'workers', 'cli'],
  infra: ['engine', 'activities', 'workflows', 'workers', 'cli'],
  activities: ['workflows', 'workers', 'cli'],
  workflows: ['workers', 'cli'],
  workers: ['cli'],
};

const forbiddenPackages = {
  alignment: ['onnxruntime-node', '@temporalio/*'],
  engine: ['@temporalio/*', 'onnxruntime-node'],
  infra: ['onnxruntime-node'],
  workflows: [
    'node:*',
    'fs',
    'path',
    'crypto',
    'os',
    'child_process',
    'zod',
    'onnxruntime-node',
    '@temporalio/client',
    '@temporalio/worker',
  ],
};

const boundaries = Object.entries(forbiddenImports).map(([folder, folders]) => ({
  files: [`${folder}/**/*.ts`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            group: folders.map((name) => `**/${name}/**`),
            message: `${folder}/ must not import from there (see docs/architecture.md).`,
          },
          ...(forbiddenPackages[folder]
            ? [{ group: forbiddenPackages[folder], message: `${folder}/ must stay free of this package.` }]
            : []),
        ],
      },
    ],
  },
}));

export default defineConfig(
  { ignores: ['node_modules/**', 'dist/**', '.cada/**', 'coverage/**', 'cli/cada.js'] },
  eslint.configs.recommended,
  ...tseslint.configs.recommended,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['eslint.config.js'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      eqeqeq: 'error',
    },
  },
  ...boundaries,
  // The one door to ONNX Runtime, which tells it to keep still first.
  { files: ['engine/session/onnxRuntime.ts'], rules: { 'no-restricted-imports': 'off' } },
  {
    files: ['workflows/**/*.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        'process',
        'Buffer',
        'fetch',
        'crypto',
        'performance',
        'structuredClone',
        'Temporal',
      ],
    },
  },
);
