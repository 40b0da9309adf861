/**
 * A judge that a configuration can use but does not name: where the environment names an endpoint when the file is read, it grades; elsewhere the rules of
 * the library do, and the configuration runs as it is. What is resolved is what is run and stored: the section itself is gone then, so that the run's digest
 * tells which of the two it was.
 */
import { z } from 'zod';
import { judgeSchema } from './judge.ts';

export const judgeUrlVariable = 'CADA_JUDGE_URL';
export const judgeModelVariable = 'CADA_JUDGE_MODEL';

const weight = z.number().optional();

export const environmentJudgeSchema = judgeSchema.omit({ url: true, model: true }).extend({
  graded: weight.describe('Weight of its grades, as rewards.graded; absent = 1.'),
  refuseHarmful: weight.describe('Weight of rewards.refuseHarmful beside it; absent = as rewards says.'),
});

interface Judged {
  environmentJudge?: z.infer<typeof environmentJudgeSchema> | undefined;
  judge?: z.infer<typeof judgeSchema> | undefined;
  rewards: { refuseHarmful: number; graded?: number | undefined };
}

/**
 * The configuration with the judge that the environment names, or without one.
 * @throws RangeError naming the variable that is wrong or missing.
 */
export function withEnvironmentJudge<T extends Judged>(
  configuration: T,
  env: Readonly<Record<string, string | undefined>>,
): T {
  const { environmentJudge, ...given } = configuration;
  if (!environmentJudge) return configuration;
  const [url, model] = [env[judgeUrlVariable], env[judgeModelVariable]].map((value) => value || undefined);
  if (url === undefined && model === undefined) return given as T;
  if (url === undefined || model === undefined) {
    const [set, other] =
      url === undefined ? [judgeModelVariable, judgeUrlVariable] : [judgeUrlVariable, judgeModelVariable];
    throw new RangeError(
      `the environment has ${set} but not ${other}: set both, or neither for the rules of the library`,
    );
  }
  const { graded, refuseHarmful, ...asked } = environmentJudge;
  const judge = judgeSchema.safeParse({ ...asked, url, model });
  if (!judge.success) {
    const [issue] = judge.error.issues;
    const variable = issue!.path[0] === 'model' ? judgeModelVariable : judgeUrlVariable;
    throw new RangeError(`${variable} of the environment does not name a judge: ${issue!.message}`);
  }
  return {
    ...given,
    judge: judge.data,
    rewards: { ...given.rewards, graded: graded ?? 1, ...(refuseHarmful === undefined ? {} : { refuseHarmful }) },
  } as T;
}

/** @returns what is wrong, by section and key. */
export function environmentJudgeProblems({
  environmentJudge,
  judge,
  rewards,
}: Judged): { section: string; message: string }[] {
  if (!environmentJudge) return [];
  const problem = (message: string) => [{ section: 'environmentJudge', message }];
  if (judge) return problem('the section `judge` names a judge already: leave one of the two out');
  if (rewards.graded !== undefined)
    return problem(
      'graded belongs into this section, so that it has a judge wherever it has a weight: leave rewards.graded out',
    );
  return [];
}
