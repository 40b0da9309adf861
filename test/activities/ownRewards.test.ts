/** A user's functions over a shard of chains: what has no value is unscorable with its cause, and too many of them stop the run. */
import { MockActivityEnvironment } from '@temporalio/testing';
import { expect, it } from 'vitest';
import { runOwnRewards, type OwnOutcomes } from '../../activities/ownRewards.ts';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import { makeChain } from '../alignment/makeChain.ts';
import { makeRequest } from '../alignment/makeLibrary.ts';

const chains = ['Mix flour.', 'THROW', 'NAN', 'SILENT', 'Stir.'].map((response, index) =>
  makeChain(`r${index}`, { text: `### Analysis\nFour.\n\n### Final Response\n${response}` }),
);
const requests = new Map(chains.map(({ requestId }) => [requestId, makeRequest(requestId)]));

function run(code: string, changes: object = {}, maxUnscorable = 1): Promise<OwnOutcomes> {
  const configuration = configurationSchema.parse({
    name: 'own',
    rewards: { own: [{ name: 'mine', file: 'mine.ts', weight: 1, code, ...changes }] },
    iteration: { maxUnscorable },
  });
  return new MockActivityEnvironment().run(() =>
    runOwnRewards(configuration, chains, requests),
  ) as Promise<OwnOutcomes>;
}

const picky = `export const range = [0, 20];
export default ({ response, analysis, label }: { response: string; analysis: string; label: string }): unknown => {
  if (response === 'THROW') throw new Error('no such recipe');
  if (response === 'NAN') return NaN;
  if (response === 'SILENT') return undefined;
  return analysis === 'Four.' && label === 'harmful' ? response.length : 99;
};`;

it('gives each chain its value, or says why there is none', async () => {
  const { outcomes, figures } = await run(picky);
  expect(outcomes).toEqual([
    [
      { value: 10 },
      { value: null, unscorable: 'it threw: no such recipe' },
      { value: null, unscorable: 'it gave NaN' },
      { value: null, unscorable: 'it gave no value' },
      { value: 5 },
    ],
  ]);
  expect(figures['own/seconds']).toBeGreaterThan(0);
});

it('one that never ends costs its time three times, then no more', async () => {
  const { outcomes } = await run('export default () => { for (;;); }', { timeoutSeconds: 0.7 });
  expect(outcomes).toEqual([chains.map(() => ({ value: null, unscorable: 'it took more than 0.7 s' }))]);
});

it('too many without a value are for the operator, who is told which function and why', async () => {
  await expect(run(picky, {}, 0.5)).rejects.toMatchObject({
    type: 'OwnReward',
    nonRetryable: true,
    message:
      'rewards.own "mine" has no value for 3 of 5 chains: it threw: no such recipe. Correct mine.ts: that is another run',
  });
  expect((await run(picky, {}, 0.6)).outcomes).toHaveLength(1);
});

it('without one nothing is run', async () => {
  const configuration = configurationSchema.parse({ name: 'own' });
  const none = await new MockActivityEnvironment().run(() => runOwnRewards(configuration, chains, requests));
  expect(none).toEqual({ outcomes: [], figures: {} });
});
