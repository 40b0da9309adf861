/** The reference tests of the engine, run in a process of their own on another device than the CPU. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Device } from '../../engine/policy.ts';

const root = join(import.meta.dirname, '..', '..');

/** The operators that are chosen by provider, and the references that depend on the device. */
export const DEVICE_TESTS = [
  'test/engine/graph/providers.test.ts',
  'test/gpu/sampling.test.ts',
  'test/reference/forward.test.ts',
  'test/reference/gradients.test.ts',
  'test/reference/lora.test.ts',
];

export interface ReferenceRun {
  device: Device;
  /** Further environment variables: where the driver lies, which reference numbers. */
  env?: Record<string, string>;
  tests: readonly string[];
  /** Further arguments of vitest. */
  options?: readonly string[];
  /** Show the output as it comes; else it is in the result. */
  show?: boolean;
}

export interface ReferenceTotals {
  ok: boolean;
  passed: number;
  failed: number;
  skipped: number;
  /** Full names of the tests that passed. */
  names: string[];
  output: string;
}

interface VitestReport {
  success: boolean;
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  testResults: { assertionResults: { status: string; fullName: string }[] }[];
}

/** Runs test files with vitest on a device. One file at a time: a device is shared badly. */
export async function referencesOn({
  device,
  env,
  tests,
  options = [],
  show = false,
}: ReferenceRun): Promise<ReferenceTotals> {
  const folder = mkdtempSync(join(tmpdir(), 'device-tests-'));
  const report = join(folder, 'report.json');
  try {
    const child = spawn(
      process.execPath,
      [
        join(root, 'node_modules', 'vitest', 'vitest.mjs'),
        'run',
        ...tests,
        '--maxWorkers=1',
        '--testTimeout=600000',
        '--reporter=default',
        '--reporter=json',
        `--outputFile.json=${report}`,
        ...options,
      ],
      { cwd: root, env: { ...process.env, ...env, CADA_TEST_DEVICE: device }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        if (show) process.stdout.write(text);
      });
    }
    await new Promise((resolve) => child.once('close', resolve));
    const { success, numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(
      readFileSync(report, 'utf8'),
    ) as VitestReport;
    const names = testResults
      .flatMap(({ assertionResults }) => assertionResults)
      .flatMap(({ status, fullName }) => (status === 'passed' ? [fullName] : []));
    return { ok: success, passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests, names, output };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
