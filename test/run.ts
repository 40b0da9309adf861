/**
 * Everything that `npm test` checks, with a closing line of totals: types, lint and format side by side, then the tests. A step that fails does not keep
 * the others from running.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const bin = join(root, 'node_modules', '.bin');
const reportFile = (pass: number): string => join(root, 'node_modules', '.cache', 'cada-test', `vitest-${pass}.json`);

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: { status: string; assertionResults: unknown[]; name: string; message?: string }[];
}

/** What tests leave lying (models, runs, stores: some 300 MB) goes at the end. */
const temporary = mkdtempSync(join(tmpdir(), 'cada-test-'));
process.on('exit', () => rmSync(temporary, { recursive: true, force: true, maxRetries: 3 }));
const env = { ...process.env, TMPDIR: temporary, PATH: `${bin}${delimiter}${process.env.PATH}` };

function run(command: string, args: string[]): boolean {
  console.log(`\n> ${command} ${args.join(' ')}`);
  const { status } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env });
  return status === 0;
}

/** One that others run beside: its output is shown once it has ended. */
function runBeside(command: string, args: string[]): Promise<boolean> {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise((resolve) => {
    child.once('error', (error) => (output += error.message));
    child.once('close', (code) => {
      console.log(`\n> ${command} ${args.join(' ')}\n${output}`.trimEnd());
      resolve(code === 0);
    });
  });
}

/** Test files that could not even be loaded count as failures of their own. */
function vitestTotals(pass: number): { passed: number; failed: number; skipped: number } {
  const report = JSON.parse(readFileSync(reportFile(pass), 'utf8')) as VitestReport;
  const broken = report.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0);
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

const totals = { passed: 0, failed: 0, skipped: 0 };
const step = (name: string, ok: boolean): void => {
  totals[ok ? 'passed' : 'failed'] += 1;
  if (!ok) console.log(`${name} failed`);
};

/** Runs test files and adds their results to the totals. */
function test(pass: number, args: string[]): void {
  const file = reportFile(pass);
  rmSync(file, { force: true });
  const ok = run('vitest', ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`, ...args]);
  try {
    const tests = vitestTotals(pass);
    totals.passed += tests.passed;
    totals.failed += tests.failed;
    totals.skipped += tests.skipped;
    if (!ok && tests.failed === 0) step('vitest', false);
  } catch (error) {
    console.log(`vitest left no report: ${(error as Error).message}`);
    step('vitest', false);
  }
}

mkdirSync(join(reportFile(1), '..'), { recursive: true });
const checks = [
  { name: 'types', ok: runBeside('tsc', ['--noEmit']) },
  { name: 'lint', ok: runBeside('eslint', ['.', '--max-warnings', '0']) },
  { name: 'format', ok: runBeside('prettier', ['--check', '.', '--log-level', 'warn']) },
];
for (const { name, ok } of checks) step(name, await ok);
// Its absence is no failure: the S3 suite then says why it is skipped.
run('node', ['test/servers/buildS3Server.ts']);
const chosen = process.argv.slice(2);
if (chosen.length > 0) test(1, chosen);
else {
  test(1, ['--exclude', 'test/durability/**']);
  // They wait more than they compute; but a cluster of a dozen processes that is waited for by the clock gets the machine to itself.
  const cluster = 'test/durability/cluster.test.ts';
  test(2, ['test/durability', '--exclude', cluster]);
  test(3, [cluster]);
}
console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exit(totals.failed === 0 ? 0 : 1);
