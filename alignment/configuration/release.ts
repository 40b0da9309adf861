/** Settings of the release: what the final policy must reach, and who must approve it. All absent: every policy is exported as it is, and nobody asked. */
import { z } from 'zod';
import { figureNames } from '../governance/releaseFigures.ts';
import type { Configuration } from './schema.ts';

const criterion = z
  .strictObject({
    figure: z
      .string()
      .min(1)
      .describe('Name of a figure of the final evaluation, such as `refusal/harmful` (docs/governance.md).'),
    over: z
      .enum(['base', 'warmStart'])
      .optional()
      .describe(
        'The change over the untouched model, or over the warm start, request by request; absent = the figure itself.',
      ),
    atMost: z.number().optional().describe('Highest value that is released; absent = no limit.'),
    atLeast: z.number().optional().describe('Lowest value that is released; absent = no limit.'),
    by: z
      .enum(['point', 'interval'])
      .optional()
      .describe(
        '`interval`: the limit holds for the unfavourable end of the 95 % interval; `point`: for the value. Absent = `point`.',
      ),
  })
  .refine(({ atMost, atLeast }) => atMost !== undefined || atLeast !== undefined, {
    message: 'has no limit: give it atMost, atLeast or both',
    path: ['atMost'],
  });

export type ReleaseCriterion = z.infer<typeof criterion>;

const mostHours = 8760;

export const releaseSchema = z.strictObject({
  criteria: z
    .array(criterion)
    .min(1)
    .max(50)
    .optional()
    .describe(
      'What the final policy must reach, each `{ figure, atMost, atLeast, over, by }`; absent = nothing in particular.',
    ),
  approval: z
    .enum(['required'])
    .optional()
    .describe(
      '`required`: before it is promoted the run waits until a person approves or rejects it; absent = promoted where all criteria are met.',
    ),
  timeoutHours: z
    .number()
    .positive()
    .max(mostHours)
    .optional()
    .describe('So long the run waits for approval before `onTimeout`; absent = for ever.'),
  onTimeout: z
    .enum(['reject', 'wait', 'approve-if-met'])
    .optional()
    .describe(
      '`reject`; `wait`: note it and wait on; `approve-if-met`: promoted where all criteria are met, else rejected. Absent = `wait`.',
    ),
});

export type ReleaseSettings = z.infer<typeof releaseSchema>;

export function releaseProblems(configuration: Configuration): { path: (string | number)[]; message: string }[] {
  const { release, warmStart, evaluation, iteration } = configuration;
  if (!release) return [];
  const { criteria = [], approval, timeoutHours, onTimeout } = release;
  const problems: { path: (string | number)[]; message: string }[] = [];
  const complain = (message: string, ...path: (string | number)[]) => problems.push({ path, message });
  const known = figureNames(configuration);
  const warmStartMeasured = warmStart.enabled && evaluation.afterWarmStart && iteration.count > 0;
  for (const [index, { figure, over, atMost, atLeast }] of criteria.entries()) {
    if (!known.includes(figure))
      complain(
        `there is no figure "${figure}" in the final evaluation of this configuration: it has ${known.join(', ')}`,
        ...['criteria', index, 'figure'],
      );
    if (over === 'warmStart' && !warmStartMeasured)
      complain(
        "the warm-started policy is not evaluated: use 'base', or enable the warm start and evaluation.afterWarmStart, with at least one iteration",
        ...['criteria', index, 'over'],
      );
    if (atMost !== undefined && atLeast !== undefined && atLeast > atMost)
      complain(`no value is at least ${atLeast} and at most ${atMost}`, 'criteria', index, 'atLeast');
  }
  if (criteria.length === 0 && !approval)
    complain('nothing is asked: add criteria, or approval: required, or leave the section out', 'criteria');
  if (!approval && (timeoutHours !== undefined || onTimeout !== undefined))
    complain(
      'nobody is waited for: add approval: required, or leave this out',
      timeoutHours === undefined ? 'onTimeout' : 'timeoutHours',
    );
  if (approval && onTimeout !== undefined && timeoutHours === undefined)
    complain('there is no time limit: add timeoutHours, or leave this out', 'onTimeout');
  if (onTimeout === 'approve-if-met' && criteria.length === 0)
    complain('without criteria everything would be approved: add criteria, or choose reject or wait', 'onTimeout');
  return problems;
}
