/** Rejected chains from a prompt that holds a wrong belief (docs/arms.md). Absent by default, so that it is no part of a configuration that does not set it. */
import { z } from 'zod';

export const badBeliefFields = {
  badBelief: z
    .enum(['also', 'instead'])
    .optional()
    .describe(
      "Chains that the policy writes under a wrong belief, one for each request, as rejected ones (AIDSAFE): `also`: beside the policy's own worse chain; `instead`: in its place. They are never preferred, rewarded or learnt from otherwise. Absent = none are drawn.",
    ),
};
