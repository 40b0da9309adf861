import { expect, test } from 'vitest';
import { changeableSettings, changeProblems } from '../../../alignment/configuration/changeableSettings.ts';
import { changeConfiguration } from '../../../alignment/configuration/changeConfiguration.ts';
import { configurationSchema } from '../../../alignment/configuration/schema.ts';
import { configurationDigest } from '../../../infra/configuration/runId.ts';

const configuration = configurationSchema.parse({ name: 'mine' });

test('every changeable setting is one of the schema, and a change of it changes the digest', () => {
  const value: Record<string, number> = { 'iteration.ratioCap': 5, 'iteration.samplesPerRequest': 6 };
  for (const key of changeableSettings) {
    const to = value[key] ?? (key.includes('requests') ? 7 : 0.125);
    expect(changeProblems({ [key]: to }), key).toEqual([]);
    const changed = changeConfiguration(configuration, { [key]: to });
    expect(changed.settings[key]?.to, key).toBe(to);
    expect(configurationDigest(changed.configuration), key).not.toBe(configurationDigest(configuration));
  }
});

test('what is no change, no number or no setting to change is refused by name', () => {
  expect(changeProblems({})).toHaveLength(1);
  expect(changeProblems([1])).toHaveLength(1);
  expect(changeProblems(null)).toHaveLength(1);
  expect(changeProblems({ 'iteration.clipLow': 2 })).toEqual(['iteration.clipLow must be a number from 0 to 1, not 2']);
  expect(changeProblems({ 'iteration.samplesPerRequest': 2.5 })[0]).toContain('a whole number, 2 or more');
  expect(changeProblems({ 'iteration.learningRate': '1e-4' })[0]).toContain('not "1e-4"');
  for (const key of ['seed', 'iteration.count', 'constructor', '__proto__.polluted', 'iteration.objective']) {
    expect(changeProblems({ [key]: 1 })[0], key).toContain(`${key} can't be changed`);
  }
});

test('the original stays; what the schema does not allow together is refused', () => {
  const before = JSON.stringify(configuration);
  expect(changeConfiguration(configuration, { 'iteration.learningRate': 1e-4 }).settings).toEqual({});
  expect(changeConfiguration(configuration, { 'iteration.guard.maxKl': 1 }).settings).toEqual({
    'iteration.guard.maxKl': { from: null, to: 1 },
  });
  expect(() => changeConfiguration(configuration, { 'iteration.ratioCap': 0.5 })).toThrow('would act inside the clip');
  expect(JSON.stringify(configuration)).toBe(before);
});
