import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { libraryDomains } from '../../alignment/configuration/library.ts';
import { runNode, type Ended } from './runCommand.ts';
import { tinyRun, type TinyRun } from './tinyRun.ts';

const command = promisify(execFile);
let run: TinyRun;

/** What `npm pack` packs, unpacked as `npm install` would, in an empty folder; the dependencies are the repository's own, so that nothing is fetched. */
beforeAll(async () => {
  run = await tinyRun({
    library: { domain: 'software' },
    iteration: { count: 1, requests: { harmful: 2, plain: 2, lookAlike: 0 } },
  });
  const { stdout } = await command('npm', ['pack', '--json', '--silent', '--pack-destination', run.cwd]);
  const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf('['))) as [{ filename: string }];
  const modules = join(run.cwd, 'node_modules');
  mkdirSync(join(modules, 'cada'), { recursive: true });
  await command('tar', ['xzf', join(run.cwd, filename), '-C', join(modules, 'cada'), '--strip-components', '1']);
  for (const name of readdirSync('node_modules')) {
    if (!name.startsWith('.')) symlinkSync(resolve('node_modules', name), join(modules, name));
  }
}, 240_000);

const installed = (args: string[]): Promise<Ended> =>
  runNode([join(run.cwd, 'node_modules', 'cada', 'cli', 'cada.js'), ...args], run);

test('the package holds compiled files only, and nothing of tests or of this machine', () => {
  const files = readdirSync(join(run.cwd, 'node_modules', 'cada'), { recursive: true, encoding: 'utf8' });
  expect(files.filter((file) => file.endsWith('.ts'))).toEqual([]);
  expect(files).toContain(join('dist', 'workers', 'gpu.js'));
  expect(files).toContain(join('library', 'cases', 'cases.jsonl'));
  expect(files).toContain(join('studies', 'training-arms.yaml'));
  for (const domain of libraryDomains) {
    expect(files).toContain(join('configurations', 'domains', `${domain}.yaml`));
    for (const file of ['codes/simple.md', 'codes/detailed/tiers.md', 'cases/cases.jsonl', 'requests/heldOut.jsonl'])
      expect(files).toContain(join('library', 'domains', domain, file));
  }
  expect(files.filter((file) => /^(test|\.cada)/.test(file))).toEqual([]);
});

test('the installed command answers, and finds what ships with it', async () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  expect(await installed(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
  expect((await installed(['init', 'mine.yaml', '--schema'])).code).toBe(0);
  const doctor = await installed(['doctor', '--json']);
  expect(JSON.parse(doctor.stdout)).toMatchObject({ ok: true });
  expect(doctor.code).toBe(0);
});

test(
  'a whole run from the installed package: server, workers, engine, workflows and library are found',
  { timeout: 240_000 },
  async () => {
    const { code, stdout } = await installed(['train', 'tiny.yaml']);
    const chains = await installed(['chains', '--iteration', 'warmStart', '--limit', '5', '--json']);
    const ids = (JSON.parse(chains.stdout) as { requestId: string }[]).map(({ requestId }) => requestId);
    expect(ids).toHaveLength(5);
    for (const id of ids) expect(id).toMatch(/^software-train-/);
    expect(stdout).toMatch(/adapter +\S+\n +sha256 [0-9a-f]{64}\n/);
    expect(code).toBe(0);
  },
);
