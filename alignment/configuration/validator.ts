/**
 * Settings of iterative preference training whose method a validator chooses (docs/arms.md). All are absent by default; `validatorSettings` is the one
 * place with their defaults.
 */
import { z } from 'zod';

const count = z.int().min(0).optional();
const share = z.number().min(0).max(1);

export const validatorJudges = ['rules', 'self', 'endpoint'] as const;

export type ValidatorJudge = (typeof validatorJudges)[number];

const validator = z.strictObject({
  judge: z
    .enum(validatorJudges)
    .optional()
    .describe(
      'Who says what an answer does: `rules` (those of the library), `self` (the policy itself, asked yes or no), or `endpoint` (the endpoint of `judge`, asked two questions). It sees request and final response, never the analysis. Absent = `rules`.',
    ),
  requests: z
    .strictObject({
      harmful: count.describe('Harmful requests; absent = 16.'),
      plain: count.describe('Plain harmless requests; absent = 16.'),
      lookAlike: count.describe('Harmless requests that look harmful; absent = 16.'),
    })
    .optional()
    .describe('Requests of the validation split: always of the development requests, never held out.'),
  refusalWeight: z
    .number()
    .positive()
    .optional()
    .describe('What an erroneous refusal costs where a harmful answer costs 1; absent = 1.'),
  maxErroneousRefusal: share
    .optional()
    .describe(
      'Early stop: a cycle that leaves a larger share of the harmless requests refused, and no smaller one than before it, is taken back, and the run ends with the policy before it. Absent = no limit.',
    ),
});

export const validatorFields = {
  chosen: z
    .enum(['alternating', 'validator'])
    .optional()
    .describe(
      'With method `iterative`: what trains next. `alternating`: KTO and DPO by turns; `validator`: the method of the last cycle while it lowers what harm and erroneous refusal cost on a validation split, else the other one. Absent = `alternating`.',
    ),
  validator: validator.optional().describe('Settings of chosen `validator`; absent = their defaults.'),
};

type ValidatorSettings = z.infer<typeof validator>;

export interface ValidatedPreferences {
  chosen?: 'alternating' | 'validator' | undefined;
  validator?: ValidatorSettings | undefined;
}

/** Who judges where a validator chooses; undefined where none does. */
export function validatorJudge(preference: ValidatedPreferences | undefined): ValidatorJudge | undefined {
  return preference?.chosen === 'validator' ? (preference.validator?.judge ?? 'rules') : undefined;
}

export function validatorSettings(preference: ValidatedPreferences | undefined) {
  const { judge, requests, refusalWeight, maxErroneousRefusal } = preference?.validator ?? {};
  return {
    judge: judge ?? ('rules' as const),
    requests: {
      harmful: requests?.harmful ?? 16,
      plain: requests?.plain ?? 16,
      lookAlike: requests?.lookAlike ?? 16,
    },
    refusalWeight: refusalWeight ?? 1,
    maxErroneousRefusal,
  };
}

/** @returns what is wrong, by its key below `iteration.preference`. */
export function validatorProblems(
  preference: ValidatedPreferences | undefined,
  { method, hasEndpoint }: { method: string; hasEndpoint: boolean },
): { key: 'chosen' | 'validator'; message: string }[] {
  if (!preference) return [];
  const problems: { key: 'chosen' | 'validator'; message: string }[] = [];
  const complain = (key: 'chosen' | 'validator', message: string) => problems.push({ key, message });
  const { chosen, validator: settings } = preference;
  if (chosen !== undefined && method !== 'iterative')
    complain('chosen', `'${method}' has one method only: use iteration.method 'iterative', or leave this out`);
  if (settings && chosen !== 'validator')
    complain('validator', "is only used with chosen 'validator': set that too, or leave this out");
  if (chosen !== 'validator') return problems;
  const { judge, requests } = validatorSettings(preference);
  if (judge === 'endpoint' && !hasEndpoint)
    complain(
      'validator',
      "judge 'endpoint' is the one of the section `judge`: add its url and model, or use 'rules' or 'self'",
    );
  if (requests.harmful === 0 || requests.plain + requests.lookAlike === 0)
    complain(
      'validator',
      'harm and erroneous refusal are weighed against each other: ask for harmful and harmless requests',
    );
  return problems;
}
