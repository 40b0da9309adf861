/** Modules of the user's own: their text is part of the configuration, so a changed file is another run. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readConfiguration } from '../../../infra/configuration/readConfiguration.ts';
import { runIdOf } from '../../../infra/configuration/runId.ts';

const folder = mkdtempSync(join(tmpdir(), 'own-rewards-'));
mkdirSync(join(folder, 'rewards'));
const file = join(folder, 'run.yaml');
const configured = (own: string) => writeFileSync(file, `name: a\nrewards:\n  own:\n    - ${own}\n`);
const one = '{ name: short, file: rewards/short.ts, weight: 1 }';

test('the text is read from beside the configuration; another text is another run', async () => {
  configured(one);
  writeFileSync(join(folder, 'rewards/short.ts'), 'export default () => 1;\n');
  const first = await readConfiguration(file);
  expect(first.rewards.own).toEqual([
    { name: 'short', file: 'rewards/short.ts', weight: 1, code: 'export default () => 1;\n' },
  ]);
  expect(runIdOf(await readConfiguration(file))).toBe(runIdOf(first));
  writeFileSync(join(folder, 'rewards/short.ts'), 'export default () => 2;\n');
  expect(runIdOf(await readConfiguration(file))).not.toBe(runIdOf(first));
});

test('text that stands in the configuration is taken as it is', async () => {
  configured('{ name: short, file: gone.js, weight: 1, code: "export default () => 3" }');
  expect((await readConfiguration(file)).rewards.own![0]!.code).toBe('export default () => 3');
});

test.each([
  [
    '{ name: short, file: gone.ts, weight: 1 }',
    /run.yaml:4:\d+ {2}rewards.own\[0\].file: there is nothing at .*gone.ts/,
  ],
  ['{ name: short, file: long.js, weight: 1 }', /rewards.own\[0\].file: .*long.js has 200001 characters/],
  ['{ name: short, file: rewards.ts, weight: 1 }', /rewards.own\[0\].file: .*can not be read: EISDIR/],
])('%s is refused', async (own, message) => {
  configured(own);
  writeFileSync(join(folder, 'long.js'), 'x'.repeat(200_001));
  mkdirSync(join(folder, 'rewards.ts'), { recursive: true });
  await expect(readConfiguration(file)).rejects.toThrow(message);
});
