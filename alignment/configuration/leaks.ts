/** Whether analyses are looked through for what refusals withhold. Absent settings are no part of a configuration's digest. */
import { z } from 'zod';

export const leakFields = {
  leaks: z
    .boolean()
    .optional()
    .describe(
      'Also judge the analyses of chains that refuse harmful requests, for the column of leaks (docs/evaluation.md): by the rules, and where a rubric judge is asked by that too, for up to one more question a chain. No reward sees it. Absent = false.',
    ),
};
