import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { describe, expect, it, test } from 'vitest';
import { methodOf } from '../../../alignment/configuration/arms.ts';
import { configurationSchema } from '../../../alignment/configuration/schema.ts';
import { readConfiguration } from '../../../infra/configuration/readConfiguration.ts';

function problemsOf(settings: object): string[] {
  const { error } = configurationSchema.safeParse({ name: 'a', ...settings });
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

describe('settings of arms', () => {
  it.each([
    { cases: { count: 0, codes: 'detailed' }, iteration: { guidance: 'cases' } },
    { cases: { count: 2, codes: 'none' }, iteration: { guidance: 'mixed' } },
    { iteration: { method: 'kto', klWeight: 0, preference: { ktoLoss: 'apo-zero', threshold: 1 } } },
    { iteration: { method: 'dpo', preference: { dpoLoss: 'robust', labelSmoothing: 0.1 } } },
    { warmStart: { target: 'refusal', refusal: 'No.' } },
    { iteration: { method: 'iterative', preference: { chosen: 'alternating' } } },
    { iteration: { method: 'iterative', preference: { chosen: 'validator', validator: { judge: 'self' } } } },
    {
      iteration: { method: 'iterative', preference: { chosen: 'validator', validator: { judge: 'endpoint' } } },
      judge: { url: 'http://127.0.0.1:1/v1', model: 'judge' },
    },
  ])('go together: %o', (settings) => expect(problemsOf(settings)).toEqual([]));

  it.each([
    [{ cases: { count: 0, codes: 'none' }, iteration: { guidance: 'cases' } }, /^iteration.guidance: .*codes 'none'/],
    [{ iteration: { preference: { beta: 1 } } }, /^iteration.preference: only iteration.method reads it/],
    [{ iteration: { method: 'dpo', preference: { labelSmoothing: 0.1 } } }, /^iteration.preference: .*'robust'/],
    [{ iteration: { method: 'kto', skipUniform: true, refillRounds: 1 } }, /^iteration.refillRounds: 'kto'/],
    [
      { warmStart: { enabled: false }, iteration: { method: 'dpo', klWeight: 0 } },
      /^iteration.klReference: there is no warm start to be the reference/,
    ],
    [
      { iteration: { method: 'kto', preference: { chosen: 'validator' } } },
      /^iteration.preference.chosen: 'kto' has one method only/,
    ],
    [
      { iteration: { method: 'iterative', preference: { validator: { judge: 'self' } } } },
      /^iteration.preference.validator: is only used with chosen 'validator'/,
    ],
    [
      { iteration: { method: 'iterative', preference: { chosen: 'validator', validator: { judge: 'endpoint' } } } },
      /^iteration.preference.validator: judge 'endpoint' is the one of the section `judge`/,
    ],
    [
      {
        iteration: {
          method: 'iterative',
          preference: { chosen: 'validator', validator: { requests: { plain: 0, lookAlike: 0 } } },
        },
      },
      /^iteration.preference.validator: .*ask for harmful and harmless requests/,
    ],
    [{ warmStart: { refusal: 'No.' } }, /^warmStart.refusal: .*target 'refusal'/],
    [{ warmStart: { target: 'refusal', consistent: true } }, /^warmStart.consistent: /],
  ])('are refused under the key to change: %o', (settings, message) => {
    expect(problemsOf(settings)).toEqual([expect.stringMatching(message)]);
  });

  it('takes KTO and DPO by turns', () => {
    expect([1, 2, 3].map((iteration) => methodOf('iterative', iteration))).toEqual(['kto', 'dpo', 'kto']);
    expect(methodOf('dpo', 1)).toBe('dpo');
  });
});

const arms = readdirSync('configurations/arms').map((file) => file.replace('.yaml', ''));

test.each(arms)('configurations/arms/%s.yaml is valid, named so, and on the page of arms', async (name) => {
  const file = `configurations/arms/${name}.yaml`;
  expect((await readConfiguration(file)).name).toBe(name);
  expect(await readFile(file, 'utf8')).toMatch(/^# yaml-language-server: \$schema=\.\.\/cada\.schema\.json\n/);
  expect(await readFile('docs/arms.md', 'utf8')).toContain(`| \`${name}\` `);
});

test('arms that are compared differ in what they are compared by, and in nothing else', async () => {
  const load = async (name: string) => {
    const { name: _, ...settings } = await readConfiguration(`configurations/arms/${name}.yaml`);
    return settings;
  };
  const [sftCases, sftSimple, sftCodes] = await Promise.all(['sft-cases', 'sft-simple', 'sft-codes'].map(load));
  const { cases: _, ...common } = sftCases!;
  for (const one of [sftSimple!, sftCodes!]) {
    const { cases, ...others } = one;
    expect(others).toEqual(common);
    expect(cases.count).toBe(0);
  }
  const [guided, outcome, da] = await Promise.all(['cada-mix-guided', 'da-outcome', 'da'].map(load));
  // Without an endpoint in the environment.
  expect(da).toEqual(outcome);
  expect({ ...outcome!, cases: null }).toEqual({ ...guided!, cases: null });
  const [mix, half, dpo, kto] = await Promise.all(['cada-mix', 'cada-mix-half', 'dpo', 'kto'].map(load));
  for (const one of [half!, guided!]) {
    expect({ ...one, iteration: { ...one.iteration, guidance: 'raw' } }).toEqual(mix);
  }
  for (const one of [dpo!, kto!]) {
    const { method, ...iteration } = one.iteration;
    expect(['dpo', 'kto']).toContain(method);
    expect({ ...one, iteration }).toEqual(mix);
  }
});
