/** Settings of the guard that takes back steps which went wrong. */
import { z } from 'zod';

const positive = z.int().min(1);
const share = z.number().min(0).max(1);

/** All optional: absent settings are no part of a configuration's digest. */
export const guard = z.strictObject({
  maxKl: z.number().positive().optional().describe('Highest mean KL to the reference; absent = no limit.'),
  minReward: z.number().optional().describe('Lowest mean reward of an iteration; absent = no limit.'),
  maxErroneousRefusal: share
    .optional()
    .describe(
      'Highest share of plain or of look-alike requests that the probe after an iteration refuses; absent = no limit.',
    ),
  patience: positive.optional().describe('So many iterations in a row must be below minReward; absent = 3.'),
  action: z
    .enum(['rollBack', 'stop'])
    .optional()
    .describe(
      'After a rejected step: `rollBack`: go on from the last good policy with a lower learning rate; `stop`: end the run with it (evaluation, export, report). Absent = `rollBack`.',
    ),
  rateFactor: z
    .number()
    .positive()
    .max(1)
    .optional()
    .describe('The learning rate is multiplied by it at each roll-back of the guard; absent = 0.5.'),
  maxRollBacks: z
    .int()
    .min(0)
    .optional()
    .describe('After so many roll-backs of the guard the run waits for its operator instead; absent = 3.'),
});
