/**
 * Settings that only some of the paper's arms need (docs/arms.md): other targets of fine-tuning, preference losses instead of policy gradients. All are
 * absent by default, so that none is part of a configuration that sets none.
 */
import { z } from 'zod';
import { badBeliefFields } from './badBelief.ts';
import { validatorFields, validatorProblems } from './validator.ts';

export const warmStartArmFields = {
  target: z
    .enum(['refusal'])
    .optional()
    .describe(
      "What is learnt: `refusal`: harmful requests with a written refusal, harmless ones with the model's own answer to the raw request; no chains, no guidance, no format filter. Absent = guided chains.",
    ),
  refusal: z
    .string()
    .min(1)
    .optional()
    .describe(
      'With target `refusal`: the one text that all harmful requests are refused with; absent = the response of a harmful case of their category.',
    ),
};

const preference = z.strictObject({
  beta: z.number().positive().optional().describe('How much a log-ratio to the reference counts; absent = 0.1.'),
  dpoLoss: z
    .enum(['sigmoid', 'hinge', 'ipo', 'sigmoid-norm', 'robust'])
    .optional()
    .describe('Loss of a pair (docs/objectives.md); absent = `sigmoid`.'),
  labelSmoothing: z
    .number()
    .min(0)
    .lt(0.5)
    .optional()
    .describe('Share of pairs that dpoLoss `robust` takes to be the wrong way round; absent = 0.'),
  ktoLoss: z
    .enum(['kto', 'apo-zero'])
    .optional()
    .describe('Baseline of labelled chains: an estimate of KL (`kto`) or 0 (`apo-zero`); absent = `kto`.'),
  desirableWeight: z.number().positive().optional().describe('Of desirable chains in KTO; absent = 1.'),
  undesirableWeight: z.number().positive().optional().describe('Of undesirable chains in KTO; absent = 1.'),
  threshold: z
    .number()
    .optional()
    .describe(
      'KTO: chains with at least this reward are desirable; absent = those that pass the format and the outcome filter.',
    ),
  ...validatorFields,
  ...badBeliefFields,
});

export const iterationArmFields = {
  method: z
    .enum(['dpo', 'kto', 'iterative'])
    .optional()
    .describe(
      'Trains by preferences among the chains of an iteration, in place of policy gradients: `dpo`: the best against the worst chain of each request; `kto`: every chain, desirable or not; `iterative`: KTO and DPO, KTO first, by turns or as `preference.chosen` says. objective, aggregation, advantage, clips and KL terms are then not used. Absent = `objective`.',
    ),
  preference: preference.optional().describe('Settings of `method`; absent = their defaults.'),
};

/** What trains in an iteration (1 for the first), where no validator chooses. */
export function methodOf(method: 'dpo' | 'kto' | 'iterative', iteration: number): 'dpo' | 'kto' {
  if (method !== 'iterative') return method;
  return iteration % 2 === 1 ? 'kto' : 'dpo';
}

export type PreferenceSettings = ReturnType<typeof preferenceSettings>;

/** The one place with the defaults of `iteration.preference`. */
export function preferenceSettings(settings: z.infer<typeof preference> | undefined) {
  return {
    beta: settings?.beta ?? 0.1,
    dpoLoss: settings?.dpoLoss ?? 'sigmoid',
    labelSmoothing: settings?.labelSmoothing ?? 0,
    ktoLoss: settings?.ktoLoss ?? 'kto',
    desirableWeight: settings?.desirableWeight ?? 1,
    undesirableWeight: settings?.undesirableWeight ?? 1,
    threshold: settings?.threshold,
  } as const;
}

interface ArmProblem {
  section: 'warmStart' | 'iteration';
  key: string;
  message: string;
}

interface ArmSettings {
  cases: { count: number; codes: string };
  judge?: object | undefined;
  warmStart: { enabled: boolean; target?: string | undefined; refusal?: string | undefined; consistent: boolean };
  iteration: {
    guidance: string;
    klReference: string;
    klWeight: number;
    refillRounds?: number | undefined;
    method?: 'dpo' | 'kto' | 'iterative' | undefined;
    preference?: z.infer<typeof preference> | undefined;
  };
}

/** Combinations that cannot be. */
export function armProblems(settings: ArmSettings): ArmProblem[] {
  return [...guidanceProblems(settings), ...preferenceProblems(settings)];
}

function preferenceProblems({ warmStart, iteration, judge }: ArmSettings): ArmProblem[] {
  const problems: ArmProblem[] = [];
  const complain = (key: string, message: string) => problems.push({ section: 'iteration', key, message });
  const { method, preference: settings } = iteration;
  if (!method) {
    if (settings) complain('preference', 'only iteration.method reads it: set that too, or leave this out');
    return problems;
  }
  if (iteration.refillRounds !== undefined)
    complain('refillRounds', `'${method}' has no groups without signal to replace: leave it out`);
  if (iteration.klReference === 'warmStart' && !warmStart.enabled && iteration.klWeight === 0)
    complain('klReference', `there is no warm start to be the reference of '${method}': use 'base'`);
  if (settings?.labelSmoothing !== undefined && settings.dpoLoss !== 'robust')
    complain('preference', "labelSmoothing is only used by dpoLoss 'robust': set that too, or leave it out");
  for (const { key, message } of validatorProblems(settings, { method, hasEndpoint: judge !== undefined }))
    complain(`preference.${key}`, message);
  return problems;
}

function guidanceProblems({ cases, warmStart, iteration }: ArmSettings): ArmProblem[] {
  const problems: ArmProblem[] = [];
  if (iteration.guidance !== 'raw' && cases.count === 0 && cases.codes === 'none') {
    problems.push({
      section: 'iteration',
      key: 'guidance',
      message: `'${iteration.guidance}' puts codes and cases into the prompt, but cases.count is 0 and cases.codes 'none': raise the one, change the other, or use 'raw'`,
    });
  }
  if (warmStart.refusal !== undefined && warmStart.target !== 'refusal') {
    problems.push({
      section: 'warmStart',
      key: 'refusal',
      message: "is only learnt with warmStart.target 'refusal': set that too, or leave this out",
    });
  }
  if (warmStart.target === 'refusal' && warmStart.consistent) {
    problems.push({
      section: 'warmStart',
      key: 'consistent',
      message: "target 'refusal' has no analyses that an answer could contradict: switch it off",
    });
  }
  return problems;
}
