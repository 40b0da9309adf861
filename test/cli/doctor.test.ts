import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { describeChecks } from '../../cli/commands/doctor.ts';
import type { Check } from '../../infra/doctor/check.ts';
import { cada, newFolder } from './runCommand.ts';

interface DoctorJson {
  ok: boolean;
  checks: Check[];
}

test('cada doctor --json lists every check with its state, and downloads nothing', async () => {
  const cwd = newFolder();
  const { stdout, code } = await cada(['doctor', '--json'], { cwd });
  const { ok, checks } = JSON.parse(stdout) as DoctorJson;
  expect(checks.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['Node.js', 'memory', 'disk for CADA_HOME', 'Temporal', 'artifact store', 'model']),
  );
  for (const { state, found, remedy } of checks) {
    expect(['ok', 'warn', 'fail']).toContain(state);
    expect(found).not.toBe('');
    if (state !== 'ok') expect(remedy).not.toBe('');
  }
  expect(checks.find(({ name }) => name === 'model')).toMatchObject({ state: 'warn' });
  expect(ok).toBe(checks.every(({ state }) => state !== 'fail'));
  expect(code).toBe(ok ? 0 : 3);
  expect(existsSync(join(cwd, 'cache'))).toBe(false);
});

test('a store that can not be used is a problem: exit code 3, the remedy beside it', async () => {
  const cwd = newFolder();
  writeFileSync(join(cwd, 'file'), '');
  const { stdout, code } = await cada(['doctor'], { cwd, env: { CADA_STORE: join(cwd, 'file', 'store') } });
  expect(code).toBe(3);
  expect(stdout).toMatch(/problem +artifact store/);
  expect(stdout).toContain('-> Correct CADA_STORE');
  expect(stdout).toMatch(/problems? to mend first\.\n$/);
});

test('a remedy stands below its check, aligned with what was found', () => {
  const text = describeChecks([
    { name: 'disk', state: 'fail', found: '1 GB free', remedy: 'Free some.' },
    { name: 'Node.js', state: 'ok', found: '24', remedy: '' },
  ]);
  expect(stripVTControlCharacters(text).split('\n')).toEqual([
    'problem  disk     1 GB free',
    '                  -> Free some.',
    'ok       Node.js  24',
    '',
    '1 problem to mend first.',
  ]);
});
