import { mkdtempSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConfigurationError } from '../../../infra/configuration/problems.ts';
import type { ConfigurationProblem } from '../../../infra/configuration/problems.ts';
import { parseConfiguration, readConfiguration } from '../../../infra/configuration/readConfiguration.ts';

const lines = (...text: string[]): string => text.join('\n') + '\n';

function problemsOf(text: string, file = 'run.yaml'): readonly ConfigurationProblem[] {
  try {
    parseConfiguration(text, file);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
  return [];
}

describe('a configuration that is right', () => {
  test('is completed with the defaults of the schema, down into sections', () => {
    const configuration = parseConfiguration(lines('name: a', 'iteration:', '  count: 7'), 'run.yaml');
    expect(configuration.iteration.count).toBe(7);
    expect(configuration.iteration.samplesPerRequest).toBe(4);
    expect(configuration.evaluation.requests).toEqual({ harmful: 48, plain: 48, lookAlike: 48 });
  });

  test('has its paths resolved against the folder of the file, and hub ids left alone', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cada-configuration-'));
    await mkdir(join(folder, 'library'));
    writeFileSync(join(folder, 'tiny.gguf'), '');
    const file = join(folder, 'run.yaml');
    writeFileSync(file, lines('name: a', 'model: { source: ./tiny.gguf }', 'library: { path: library }'));
    const configuration = await readConfiguration(file);
    expect(configuration.model.source).toBe(join(folder, 'tiny.gguf'));
    expect(configuration.library.path).toBe(join(folder, 'library'));

    writeFileSync(file, lines('name: a', 'model: { source: Qwen/Qwen2.5-0.5B-Instruct }'));
    expect((await readConfiguration(file)).model.source).toBe('Qwen/Qwen2.5-0.5B-Instruct');
  });
});

describe('problems name file, line, column, key, what was found and what is allowed', () => {
  test('an unknown key, with the nearest known one', () => {
    expect(problemsOf(lines('name: a', 'engine:', '  device: cpu', '  thread: 2'))).toEqual([
      {
        file: 'run.yaml',
        line: 4,
        column: 3,
        key: 'engine.thread',
        message: 'there is no such setting',
        found: 'thread',
        allowed: 'threads, device, allowFallback, decodeBatch, microBatchTokens',
        suggestion: '`threads`',
      },
    ]);
  });

  test('a known key in the wrong section: says where it belongs', () => {
    const [problem] = problemsOf(lines('name: a', 'klWeight: 0.1'));
    expect(problem).toMatchObject({ line: 2, column: 1, key: 'klWeight', suggestion: '`iteration.klWeight`' });
  });

  test('a key that resembles none gets no suggestion', () => {
    expect(problemsOf(lines('name: a', 'zzzzzz: 1'))[0]).not.toHaveProperty('suggestion');
  });

  test.each([
    [
      'a text for a number',
      'engine: { threads: two }',
      'engine.threads',
      '"two" (a text)',
      'a whole number from 1 to 256',
    ],
    ['a fraction for a whole number', 'seed: 1.5', 'seed', '1.5', 'a whole number, 0 or more'],
    ['YAML 1.1 booleans', 'model: { fallback: yes }', 'model.fallback', '"yes" (a text)', 'true or false'],
    [
      'a value out of a list',
      'engine: { device: tpu }',
      'engine.device',
      '"tpu" (a text)',
      'one of cpu, cuda, webgpu, auto',
    ],

    ['a number out of range', 'cases: { count: 98 }', 'cases.count', '98', 'a whole number from 0 to 16'],
    ['not a number', 'lora: { alpha: .nan }', 'lora.alpha', 'NaN', 'a number, more than 0'],
    [
      'a list element',
      'lora: { targets: [q_prj] }',
      'lora.targets[0]',
      '"q_prj" (a text)',
      expect.stringContaining('one of q_proj'),
    ],
    [
      'a list for a section',
      'rewards: [1]',
      'rewards',
      'a list: [1]',
      expect.stringContaining('a section with format'),
    ],
  ])('%s', (_title, line, key, found, allowed) => {
    const problems = problemsOf(lines('name: a', line));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({ file: 'run.yaml', line: 2, key, found, allowed });
  });

  test('an empty section and a missing name', () => {
    const problems = problemsOf(lines('rewards:'));
    expect(problems.map(({ key, message }) => [key, message])).toEqual(
      [
        ['rewards', 'the section is empty: give it settings or leave it out'],
        ['name', 'this setting is missing'],
      ].toSorted(),
    );
  });

  test('a bad name is explained in words, not by its pattern', () => {
    expect(problemsOf('name: My Run\n')[0]).toMatchObject({
      line: 1,
      column: 7,
      allowed: 'lower-case letters, digits and dashes, at most 40',
    });
  });

  test('all problems at once, in the order of the file', () => {
    const problems = problemsOf(lines('name: A', 'sed: 1', 'engine:', '  threads: 0', '  threads: -1', 'cases: 3'));
    expect(problems.map(({ line, key }) => [line, key])).toEqual([
      [1, 'name'],
      [2, 'sed'],
      [5, 'threads'],
      [5, 'engine.threads'],
      [6, 'cases'],
    ]);
  });

  test('combinations that can not work', () => {
    const problems = problemsOf(
      lines('name: a', 'cases:', '  count: 3', 'warmStart:', '  enabled: false', 'iteration:', '  count: 0'),
    );
    expect(problems.map(({ line, key }) => [line, key])).toEqual([
      [3, 'cases.count'],
      [6, 'iteration.klReference'],
      [7, 'iteration.count'],
    ]);
  });

  test('paths to nothing', () => {
    const problems = problemsOf(lines('name: a', 'model: { source: ./no.gguf }', 'library: { path: nowhere }'));
    expect(problems.map(({ line, key, found }) => [line, key, found])).toEqual([
      [2, 'model.source', './no.gguf'],
      [3, 'library.path', 'nowhere'],
    ]);
  });
});

describe('files that are not a configuration', () => {
  test.each([
    ['an empty file', '', 1, 'the file holds no settings'],
    ['only comments', '# nothing\n', 1, 'the file holds no settings'],
    ['a list', '- a\n', 1, 'the file is not a list of settings'],
    ['a tab', 'name: a\nengine:\n\tthreads: 2\n', 3, 'a tab indents this line'],
    ['a duplicate key', 'name: a\nseed: 1\nseed: 2\n', 3, 'the key stands twice in the same section'],
    ['an anchor', 'name: &run a\n', 1, 'the anchor `&run` stands here'],
    ['a tag', 'name: !env a\n', 1, 'the tag `!env` stands here'],
    ['two documents', 'name: a\n---\nname: b\n', 2, 'a second document begins here (`---`)'],
    ['broken YAML', 'name: a\nlora: b: c\n', 2, expect.stringContaining('not valid YAML')],
  ])('%s', (_title, text, line, message) => {
    expect(problemsOf(text)[0]).toMatchObject({ file: 'run.yaml', line, message });
  });

  test('an alias can not blow up the memory: it is refused', () => {
    const bomb = [
      'name: a',
      'a: &a [x, x, x, x]',
      ...'bcdefgh'.split('').map((c, i) => `${c}: &${c} [${`*${'abcdefg'[i]}, `.repeat(9)}]`),
    ];
    expect(problemsOf(lines(...bomb))[0]).toMatchObject({ message: 'the anchor `&a` stands here' });
  });

  test('a missing file and a folder', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cada-configuration-'));
    await expect(readConfiguration(join(folder, 'no.yaml'))).rejects.toThrow('there is no such file');
    await expect(readConfiguration(folder)).rejects.toThrow('this is a folder, not a file');
  });
});
