import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { expect, test } from 'vitest';
import { libraryDomains } from '../../../alignment/configuration/library.ts';
import { commentedConfiguration } from '../../../infra/configuration/documentation.ts';
import { generatedFiles } from '../../../infra/configuration/generate.ts';
import { listSettings } from '../../../infra/configuration/jsonSchema.ts';
import { editDistance, nearestName } from '../../../infra/configuration/nearestName.ts';
import { parseConfiguration, readConfiguration } from '../../../infra/configuration/readConfiguration.ts';
import { configurationDigest } from '../../../infra/configuration/runId.ts';

test('the generated files in the repository are those of the schema (else run `node infra/configuration/generate.ts`)', async () => {
  for (const [path, text] of await generatedFiles()) expect(await readFile(path, 'utf8'), path).toBe(text);
});

test.each(['demo', 'long', ...libraryDomains.map((domain) => `domains/${domain}`)])(
  'configurations/%s.yaml is valid, named so and points editors to the schema',
  async (name) => {
    const file = `configurations/${name}.yaml`;
    expect((await readConfiguration(file)).name).toBe(basename(name));
    const schema = name.includes('/') ? '../cada.schema.json' : './cada.schema.json';
    expect((await readFile(file, 'utf8')).split('\n')[0]).toBe(`# yaml-language-server: $schema=${schema}`);
  },
);

test('the commented configuration is the default one, names every setting, and stays the same with the comments taken off', () => {
  const text = commentedConfiguration('mine', './cada.schema.json');
  const plain = configurationDigest(parseConfiguration('name: mine\n', 'mine.yaml'));
  expect(configurationDigest(parseConfiguration(text, 'mine.yaml'))).toBe(plain);
  for (const { path } of listSettings()) expect(text).toContain(`${path.at(-1)}:`);

  // Optional settings have no default to show: uncommented, they would be empty, and so would sections that have no others.
  const lines = text.replace(/^# /gm, '').split('\n').slice(2);
  const withValues = lines.filter((line) => !/^\s*\w+: {2}#/.test(line) && !/^\s*#/.test(line) && line.trim() !== '');
  const indent = (line: string | undefined) => (line === undefined ? 0 : line.search(/\S/));
  const withoutEmpty = (kept: string[]): string[] => {
    const filled = kept.filter((line, i) => !/^\s*\w+:$/.test(line) || indent(kept[i + 1]) > indent(line));
    // A section whose only section was empty is empty now.
    return filled.length === kept.length ? filled : withoutEmpty(filled);
  };
  const restored = parseConfiguration(withoutEmpty(withValues).join('\n'), 'mine.yaml');
  expect(configurationDigest(restored)).toBe(plain);
});

test('sections hand their defaults down to their settings', () => {
  const byKey = new Map(listSettings().map((setting) => [setting.key, setting]));
  expect(byKey.get('warmStart.requests.plain')?.default).toBe(72);
  expect(byKey.get('name')?.required).toBe(true);
  expect(byKey.get('seed')?.required).toBe(false);
});

test('edit distance counts a swap of neighbours as one', () => {
  expect(editDistance('kitten', 'sitting')).toBe(3);
  expect(editDistance('cuont', 'count')).toBe(1);
  expect(editDistance('', 'abc')).toBe(3);
  expect(nearestName('Temprature', ['temperature', 'advantage'])).toBe('temperature');
  expect(nearestName('judge', ['temperature', 'advantage'])).toBeUndefined();
});
