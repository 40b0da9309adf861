/** What sections must not say together: problems that no section can see by itself. */
import { armProblems } from './arms.ts';
import { caseSamplingProblems, emptyGuidanceProblems } from './caseSampling.ts';
import { chainFormatProblems } from './chainFormat.ts';
import { chainSourceProblems } from './chainSource.ts';
import { environmentJudgeProblems } from './environmentJudge.ts';
import { libraryProblems } from './library.ts';
import { faithfulnessProblem } from './faithfulness.ts';
import { marksProblems } from './marks.ts';
import { objectiveProblems } from './objectiveProblems.ts';
import { rewardProblems } from './optionalRewards.ts';
import { ownRewardProblems } from './ownRewards.ts';
import { releaseProblems } from './release.ts';
import { samplerProblems } from './samplers.ts';
import type { Configuration } from './schema.ts';

/** @param complain told of each problem: where it is, what is wrong and how to mend it */
export function findProblems(
  configuration: Configuration,
  complain: (path: (string | number)[], message: string) => void,
): void {
  const { iteration: rl, warmStart: warm, cases: guidance, evaluation: figures } = configuration;
  if (guidance.count % 2 !== 0)
    complain(['cases', 'count'], 'cases come as contrast pairs (harmful and look-alike): use an even number');
  if (!warm.enabled && rl.count === 0)
    complain(['iteration', 'count'], 'nothing to train: enable the warm start or ask for at least one iteration');
  if (rl.klReference === 'warmStart' && !warm.enabled && rl.klWeight > 0) {
    complain(['iteration', 'klReference'], "there is no warm start to measure KL to: use 'base'");
  }
  if (rl.overlongBuffer > configuration.chain.maxNewTokens) {
    complain(
      ['iteration', 'overlongBuffer'],
      `the ramp would begin before the chain: at most chain.maxNewTokens = ${configuration.chain.maxNewTokens}`,
    );
  }
  for (const { key, message } of libraryProblems(configuration.library)) complain(['library', key], message);
  const unspliced = faithfulnessProblem(figures, configuration.chain);
  if (unspliced !== undefined) complain(['evaluation', 'faithfulness'], unspliced);
  for (const { path, message } of withholdProblems(configuration)) complain(path, message);
  for (const { path, message } of chainFormatProblems(configuration.chain)) complain(['chain', ...path], message);
  for (const { key, message } of [...caseSamplingProblems(guidance), ...emptyGuidanceProblems(configuration)])
    complain(['cases', key], message);
  for (const { section, key, message } of armProblems(configuration)) complain([section, ...key.split('.')], message);
  for (const { key, message } of chainSourceProblems(configuration)) complain(['warmStart', key], message);
  for (const { section, message } of marksProblems(configuration)) complain([section, 'marks'], message);
  for (const { section, key, message } of samplerProblems(configuration)) complain([section, key], message);
  for (const { key, message } of objectiveProblems(rl)) complain(['iteration', key], message);
  for (const { section, key, message } of rewardProblems(configuration)) complain([section, key], message);
  for (const { section, message } of environmentJudgeProblems(configuration)) complain([section], message);
  for (const { index, message } of ownRewardProblems(configuration.rewards.own))
    complain(['rewards', 'own', index, 'name'], message);
  for (const { path, message } of releaseProblems(configuration)) complain(['release', ...path], message);
  for (const [section, counts] of [
    ['warmStart', warm.requests],
    ['iteration', rl.requests],
    ['evaluation', figures.requests],
  ] as const) {
    if (counts.harmful + counts.plain + counts.lookAlike === 0)
      complain([section, 'requests'], 'no requests at all: raise one of the three numbers');
  }
}

/** Unseen hazards are only evaluated on where they still are: among the held-out requests. */
function withholdProblems({ library, evaluation }: Configuration): { path: (string | number)[]; message: string }[] {
  const { withhold = [] } = library;
  const twice = withhold.findIndex((one, index) => withhold.indexOf(one) !== index);
  return [
    ...(twice >= 0 ? [{ path: ['library', 'withhold', twice], message: `"${withhold[twice]}" stands twice` }] : []),
    ...(withhold.length > 0 && evaluation.split === 'development'
      ? [
          {
            path: ['evaluation', 'split'],
            message: "library.withhold leaves its hazards out of the development requests: use 'heldOut'",
          },
        ]
      : []),
  ];
}
