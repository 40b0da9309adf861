import { expect, test } from 'vitest';
import { parseConfiguration } from '../../../infra/configuration/readConfiguration.ts';
import { configurationDigest, runIdOf } from '../../../infra/configuration/runId.ts';

const digestOf = (text: string): string => configurationDigest(parseConfiguration(text, 'run.yaml'));

test('order, comments and defaults written out change nothing', () => {
  const written = 'seed: 1234 # the default\nengine: { device: cpu, threads: 2 }\nname: a\n';
  expect(digestOf(written)).toBe(digestOf('name: a\n'));
});

test('the name is no part of the digest but of the run id', () => {
  expect(digestOf('name: a\n')).toBe(digestOf('name: b\n'));
  const configuration = parseConfiguration('name: b\n', 'run.yaml');
  expect(runIdOf(configuration)).toBe(`b-${configurationDigest(configuration).slice(0, 8)}`);
});

test('every other setting is part of it', () => {
  const digests = ['seed: 1', 'iteration: { count: 4 }', 'engine: { threads: 3 }', 'lora: { targets: [q_proj] }'].map(
    (line) => digestOf(`name: a\n${line}\n`),
  );
  expect(new Set([digestOf('name: a\n'), ...digests]).size).toBe(5);
});

test('an absent optional setting leaves the digest a 64-digit number', () => {
  expect(digestOf('name: a\n')).toMatch(/^[0-9a-f]{64}$/);
});
