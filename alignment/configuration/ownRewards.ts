/** Reward parts that a user's own modules compute. The reader puts the file's text into the configuration, so that a changed file is another run. */
import { z } from 'zod';

/** Longest module, characters: it stands in the configuration. */
export const longestOwnCode = 200_000;

const ownReward = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-zA-Z0-9]{0,39}$/, 'a letter, then letters and digits, at most 40')
    .describe('Its figures are called `own/<name>`.'),
  file: z
    .string()
    .regex(/\.(?:js|mjs|ts|mts)$/, 'a .js, .mjs, .ts or .mts file')
    .describe('Module of one file, relative to this file, that exports a function (docs/rewards.md).'),
  weight: z.number().describe('Weight of its value in the reward.'),
  timeoutSeconds: z.number().positive().max(60).optional().describe('Longest time for one chain; absent = 5.'),
  memoryMegabytes: z.int().min(32).max(65536).optional().describe('Most memory of its process; absent = 256.'),
  code: z
    .string()
    .max(longestOwnCode, `at most ${longestOwnCode} characters`)
    .optional()
    .describe('Text of the module: read from `file` where it is absent.'),
});

export const ownRewardsField = z
  .array(ownReward)
  .min(1)
  .optional()
  .describe(
    'Your own functions: a list of {name, file, weight}. They are your code, run by the judge workers. Absent = none.',
  );

export type OwnReward = z.infer<typeof ownReward>;

/** @returns what is wrong, by position in the list. */
export function ownRewardProblems(own: readonly Pick<OwnReward, 'name'>[] = []): { index: number; message: string }[] {
  return own.flatMap(({ name }, index) =>
    own.findIndex((other) => other.name === name) < index
      ? [{ index, message: `"${name}" is the name of another one above: give each its own` }]
      : [],
  );
}
