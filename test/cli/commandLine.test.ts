import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readConfiguration } from '../../infra/configuration/readConfiguration.ts';
import { cada, newFolder } from './runCommand.ts';

describe('usage', () => {
  test('a mistyped command is bad input and names the right one', async () => {
    const { code, stderr } = await cada(['trian']);
    expect(code).toBe(2);
    expect(stderr).toContain("unknown command 'trian'");
    expect(stderr).toContain('Did you mean train?');
  });

  test('a mistyped option is bad input and names the right one', async () => {
    const { code, stderr } = await cada(['train', '--detatch']);
    expect(code).toBe(2);
    expect(stderr).toContain('Did you mean --detach?');
  });

  test.each([
    [['chains'], "required option '--iteration <n>'"],
    [['chains', '--iteration', 'two'], 'A number is needed, or one of warmStart, before, afterWarmStart, after.'],
    [['worker', '--kind', 'tpu'], 'Allowed choices are control, gpu, judge.'],
    [['train', '--resume', '--fresh'], '--resume and --fresh exclude each other'],
    [['try', '  '], 'The request is empty.'],
    [['clean'], 'Nothing is named to be removed.'],
  ])('cada %s', async (args, message) => {
    const { code, stderr, stdout } = await cada(args);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
    expect(stdout).toBe('');
  });

  test('help and version go to standard output and are no errors', async () => {
    const help = await cada(['train', '--help']);
    expect(help.code).toBe(0);
    expect(help.stdout).toContain('--detach');
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(await cada(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
  });
});

describe('a configuration with mistakes', () => {
  test('is refused before any work, with every mistake and its place', async () => {
    const cwd = newFolder();
    writeFileSync(join(cwd, 'run.yaml'), 'name: Mine\nengine:\n  thread: 2\niteration:\n  count: three\n');
    const { code, stderr, stdout } = await cada(['train', 'run.yaml'], { cwd });
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatchInlineSnapshot(`
      "The configuration has 3 problems:
      run.yaml:1:7  name: the value is not allowed
        found:    "Mine" (a text)
        allowed:  lower-case letters, digits and dashes, at most 40
      run.yaml:3:3  engine.thread: there is no such setting
        found:    thread
        allowed:  threads, device, allowFallback, decodeBatch, microBatchTokens
        did you mean \`threads\`?
      run.yaml:5:10  iteration.count: the value is not allowed
        found:    "three" (a text)
        allowed:  a whole number, 0 or more
      "
    `);
    expect(existsSync(join(cwd, '.cada'))).toBe(false);
  });

  test('that is missing is named with the remedy', async () => {
    const { code, stderr } = await cada(['train', 'no.yaml']);
    expect(code).toBe(2);
    expect(stderr).toContain('no.yaml:1:1  there is no such file');
    expect(stderr).toContain('cada init');
  });
});

describe('cada init', () => {
  test('writes a valid configuration named after its file, and the schema beside it', async () => {
    const cwd = newFolder();
    const { code, stdout } = await cada(['init', 'My First_Run.yaml', '--schema'], { cwd });
    expect(code).toBe(0);
    expect(stdout).toContain('Wrote My First_Run.yaml');
    const file = join(cwd, 'My First_Run.yaml');
    expect((await readConfiguration(file)).name).toBe('my-first-run');
    expect(readFileSync(file, 'utf8')).toMatch(/^# yaml-language-server: \$schema=\.\/cada\.schema\.json\n/);
    expect(readFileSync(join(cwd, 'cada.schema.json'), 'utf8')).toBe(
      readFileSync('configurations/cada.schema.json', 'utf8'),
    );
  });

  test('replaces nothing unless told to', async () => {
    const cwd = newFolder();
    writeFileSync(join(cwd, 'cada.yaml'), 'name: mine\n');
    const refused = await cada(['init'], { cwd });
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('cada.yaml is there already.');
    expect(readFileSync(join(cwd, 'cada.yaml'), 'utf8')).toBe('name: mine\n');
    expect((await cada(['init', '--force'], { cwd })).code).toBe(0);
    expect((await readConfiguration(join(cwd, 'cada.yaml'))).name).toBe('my-run');
  });

  test('a folder, and a folder that is not there', async () => {
    const cwd = newFolder();
    mkdirSync(join(cwd, 'inside'));
    expect((await cada(['init', 'inside'], { cwd })).stderr).toContain('is there already');
    expect((await cada(['init', 'nowhere/run.yaml'], { cwd })).stderr).toContain('There is no folder nowhere.');
  });
});

test('cada train --plan tells what a run takes and starts nothing', async () => {
  const cwd = newFolder();
  writeFileSync(
    join(cwd, 'cada.yaml'),
    'name: tiny\nwarmStart: { enabled: false }\niteration: { count: 2, klReference: base }\n',
  );
  const { code, stdout } = await cada(['train', '--plan'], { cwd });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^run tiny-[0-9a-f]{8}\n/);
  // 2 iterations of 8 requests x 4 samples and a probe of 32 requests, at most 112 tokens each.
  expect(stdout).toMatch(/iterations +2 +128 +14336 /);
  expect(stdout).not.toContain('warm start');
  expect(existsSync(join(cwd, '.cada'))).toBe(false);
});
