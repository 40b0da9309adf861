import { describe, expect, it } from 'vitest';
import { samplersOf } from '../../../alignment/configuration/samplers.ts';
import { configurationSchema } from '../../../alignment/configuration/schema.ts';

/** Paths and messages of the problems of the settings. */
function problemsOf(settings: object): string[] {
  const { error } = configurationSchema.safeParse({ name: 'a', ...settings });
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

describe('samplers in the configuration', () => {
  it('are absent when not set, and are handed on alone', () => {
    const { warmStart, iteration } = configurationSchema.parse({ name: 'a', warmStart: { temperature: 1, topP: 0.9 } });
    expect(samplersOf(warmStart)).toEqual({ topP: 0.9 });
    expect(JSON.stringify({ temperature: 1, maxNewTokens: 9, ...samplersOf(iteration) })).toBe(
      '{"temperature":1,"maxNewTokens":9}',
    );
    expect(Object.keys(iteration)).not.toContain('topP');
  });

  it.each([
    { warmStart: { temperature: 0.7, topK: 20, topP: 0.9, minP: 0.1, repetitionPenalty: 1.1, minNewTokens: 5 } },
    { warmStart: { repetitionPenalty: 1.1, stopStrings: ['\n\n\n'] } },
    { iteration: { guidance: 'cases', topP: 0.9 } },
    { iteration: { stopStrings: ['User:'], topP: 1, minP: 0 } },
  ])('go together: %o', (settings) => expect(problemsOf(settings)).toEqual([]));

  it.each([
    [{ iteration: { topP: 0.9 } }, /^iteration.topP: .*ratio would be biased.*'cases'/],
    [{ iteration: { guidance: 'mixed', topK: 9 } }, /^iteration.topK: /],
    [{ iteration: { minNewTokens: 3 } }, /^iteration.minNewTokens: /],
    [{ warmStart: { topK: 9 } }, /^warmStart.topK: greedy/],
    [{ warmStart: { minNewTokens: 113 } }, /^warmStart.minNewTokens: .*112/],
  ])('are refused: %o', (settings, message) => {
    expect(problemsOf(settings)).toHaveLength(1);
    expect(problemsOf(settings)[0]).toMatch(message);
  });
});
