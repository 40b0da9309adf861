import { describe, expect, it } from 'vitest';
import { configurationSchema } from '../../../alignment/configuration/schema.ts';

/** Paths and messages of the problems of an iteration's settings. */
function problemsOf(iteration: object): string[] {
  const { error } = configurationSchema.safeParse({ name: 'a', iteration });
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);
}
const inReward = { klPlacement: 'reward', klEstimator: 'k1' };

describe('objectives of an iteration', () => {
  it.each([
    {},
    { objective: 'gspo', aggregation: 'sequence-mean' },
    { objective: 'cispo', ratioCap: 5 },
    { objective: 'cispo', ratioCap: 1, guidance: 'cases' },
    { objective: 'grpo', ratioCap: 1.5, klRatioCorrection: true },
    { objective: 'rloo', aggregation: 'sequence-mean', advantage: 'leave-one-out', ...inReward },
    { objective: 'rloo', aggregation: 'sequence-mean', advantage: 'leave-one-out-batch', klWeight: 0 },
    { objective: 'reinforce++', advantage: 'whitened', ...inReward },
    { klPlacement: 'reward', klEstimator: 'k3' },
    { objective: 'grpo', advantage: 'none', klWeight: 0, klPlacement: 'reward' },
  ])('go together: %o', (iteration) => expect(problemsOf(iteration)).toEqual([]));

  it.each([
    [{ objective: 'cispo' }, ['iteration.ratioCap: .*set one']],
    [{ ratioCap: 1.2 }, ['iteration.ratioCap: a cap of 1.2 would act inside the clip, .* = 1.2']],
    [{ objective: 'gspo', guidance: 'mixed' }, ["iteration.objective: 'gspo' has one ratio a sequence"]],
    [
      { objective: 'rloo' },
      [
        "iteration.aggregation: .*'sequence-mean'",
        "iteration.advantage: .*'leave-one-out'",
        "iteration.klPlacement: 'rloo' has KL in the reward",
      ],
    ],
    [{ objective: 'reinforce++', klWeight: 0 }, ["iteration.advantage: .*'whitened'"]],
    [{ overlongBuffer: 113 }, ['iteration.overlongBuffer: .* at most chain.maxNewTokens = 112']],
    [{ ...inReward, klRatioCorrection: true }, ['iteration.klRatioCorrection: ']],
  ])('are refused under the key to change: %o', (iteration, messages) => {
    expect(problemsOf(iteration)).toEqual(messages.map((message) => expect.stringMatching(message)));
  });
});
