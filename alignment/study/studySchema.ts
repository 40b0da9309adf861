/** A study: arms x seeds x models on suites, as `study.yaml` says it. The runs of its trained arms are checked by the run configuration's own schema. */
import { z } from 'zod';
import { allAttackNames, isSearched } from '../attacks/attackNames.ts';
import { suiteNames } from '../benchmarks/benchmarkNames.ts';
import { caseSamplingFields, caseSamplingProblems, caseSamplings } from '../configuration/caseSampling.ts';
import { attackSettingsSchema, missingForAttacks } from '../configuration/attacks.ts';
import { guardModelSchema } from '../configuration/guardModel.ts';
import { judgeSchema } from '../configuration/judge.ts';
import { formatExamples } from '../prompts/formatExamples.ts';
import { hypothesesSchema, hypothesisProblems } from './hypothesisSchema.ts';
import { askedBare, codeChoices, mostCases, parseArm, type InferenceArm } from './inferenceArm.ts';
import { refusalJudges } from './outcomes.ts';

const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'lower-case letters, digits and dashes, at most 40');
const settings = z.record(z.string(), z.unknown());

const inferenceMapping: z.ZodType<InferenceArm> = z
  .strictObject({
    codes: z.enum(codeChoices).default(askedBare.codes),
    cases: z.int().min(0).max(mostCases).default(askedBare.cases),
    sampling: z.enum(caseSamplings).default(askedBare.sampling),
    ...caseSamplingFields,
    layout: z.enum(['turns', 'text']).default(askedBare.layout),
    formatExamples: z.int().min(1).max(formatExamples.length).optional(),
  })
  .superRefine((one, context) => {
    for (const { key, message } of caseSamplingProblems(one))
      context.addIssue({ code: 'custom', path: [key], message: `${key} ${message}` });
    if (one.sampling === 'none' && one.cases > 0) {
      const message = "sampling 'none' shows no cases: leave `cases` out, or choose another sampling";
      context.addIssue({ code: 'custom', path: ['sampling'], message });
    }
  });

/** `simple,cases:4`, or the same as a mapping. */
const inference = z.union([
  z.string().transform((text, context) => {
    try {
      return parseArm(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
      return z.NEVER;
    }
  }),
  inferenceMapping,
]);

const arm = z
  .strictObject({
    name,
    /** What stands before each question; absent = nothing. */
    inference: inference.optional(),
    /** Trained: a run of `base` with these settings, or those of a file, in place of its own. Absent = the untouched model. */
    configuration: z.union([z.string(), settings]).optional(),
  })
  .refine(
    (one) => one.inference !== undefined || one.configuration !== undefined,
    'an arm needs `inference` (how the untouched model is asked) or `configuration` (what is trained)',
  );

const suite = z.union([
  z.enum(suiteNames).transform((one) => ({ suite: one })),
  z.strictObject({
    suite: z.enum(suiteNames),
    /** Questions at most; absent = the sizes of a study. */
    limit: z.union([z.int().min(1), z.literal('all')]).optional(),
  }),
]);

export const studySchema = z
  .strictObject({
    name,
    /** Seeds of training: a trained arm is a run for each. Untrained arms are asked greedily, once. */
    seeds: z.array(z.int().min(0)).min(1).default([1234]),
    /** Hub ids, folders or .gguf files (relative to the study's file). */
    models: z.array(z.string().min(1)).min(1).default(['HuggingFaceTB/SmolLM2-135M-Instruct']),
    suites: z.array(suite).min(1),
    /** Every harmful question is asked under each of these too. */
    attacks: z.array(z.enum(allAttackNames)).default([]),
    /** Of attacks that are searched for: gcg, pair, pap, translation. */
    attackSettings: attackSettingsSchema.optional(),
    arms: z.array(arm).min(1),
    /** Run configuration that arms start from: a file (relative to the study's), or settings; absent = the defaults. */
    base: z.union([z.string(), settings]).optional(),
    /** Hazards left out of the codes, cases and training of every arm (`library.withhold`); an arm's own configuration comes before it. */
    withhold: z.array(z.string().min(1)).min(1).optional(),
    /** Longest answer. */
    maxNewTokens: z.int().min(1).default(256),
    /** Of the choice of questions, of cases and of the bootstrap: the same in every arm. */
    questionSeed: z.int().min(0).default(1234),
    /** What tells a refusal where no judge behind an endpoint does. */
    refusalBy: z.enum(refusalJudges).default('phrases'),
    judge: judgeSchema.optional(),
    /** Guard model that judges harm of every answer to a harmful or safe question; its source may be a path (relative to the study's file). */
    guard: guardModelSchema.optional(),
    /** Judge the analyses of refusals too, for a column of leaks. */
    leaks: z.boolean().optional(),
    /** Swap the analyses of held-out pairs in trained arms: does the answer follow? */
    faithfulness: z.boolean().optional(),
    bootstrapSamples: z.int().min(100).max(100_000).default(2000),
    /** Units at work at the same time: for several gpu workers. */
    parallel: z.int().min(1).max(64).default(1),
    /** What is claimed of its figures; no part of what names the study or its units. */
    hypotheses: hypothesesSchema.optional(),
  })
  .superRefine((study, context) => {
    const { arms, suites, models, seeds, attacks, attackSettings, hypotheses, bootstrapSamples } = study;
    const armNames = arms.map((one) => one.name);
    const claimed = { models: models.length, bootstrapSamples };
    for (const { path, message } of hypothesisProblems(hypotheses ?? [], armNames, claimed))
      context.addIssue({ code: 'custom', path, message });
    const missing = missingForAttacks(attacks.filter(isSearched), attackSettings ?? {});
    if (missing !== undefined) context.addIssue({ code: 'custom', path: ['attackSettings'], message: missing });
    const lists: [string, string[]][] = [
      ['arms', armNames],
      ['suites', suites.map((one) => one.suite)],
      ['attacks', attacks],
      ['models', models],
      ['seeds', seeds.map(String)],
    ];
    for (const [key, names] of lists) {
      const twice = names.findIndex((one, index) => names.indexOf(one) !== index);
      if (twice >= 0)
        context.addIssue({ code: 'custom', path: [key, twice], message: `"${names[twice]}" stands twice` });
    }
  });

export type Study = z.infer<typeof studySchema>;
export type StudyArm = Study['arms'][number];

/** Settings with others in their place, section by section; a list replaces a list. */
export function overridden(base: Record<string, unknown>, changes: Record<string, unknown>): Record<string, unknown> {
  const result = { ...base };
  for (const [key, value] of Object.entries(changes)) {
    const old = result[key];
    result[key] = isSection(old) && isSection(value) ? overridden(old, value) : value;
  }
  return result;
}

const isSection = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** One piece of work that commits its figures by itself. `seed` null: greedy and untrained, the same whatever the seed. */
export interface StudyUnit {
  id: string;
  arm: string;
  model: string;
  seed: number | null;
}

/** Seed by seed and in the order of the file, so that a study that is stopped has whole seeds. Untrained arms are asked beside those of the first seed. */
export function unitsOf({ arms, models, seeds }: Study): StudyUnit[] {
  return models.flatMap((model, index) => {
    const place = models.length > 1 ? `.model-${index + 1}` : '';
    return seeds.flatMap((seed, round) =>
      arms
        .filter(({ configuration }) => configuration !== undefined || round === 0)
        .map(({ name: arm, configuration }) =>
          configuration === undefined
            ? { id: `${arm}${place}`, arm, model, seed: null }
            : { id: `${arm}${place}.seed-${seed}`, arm, model, seed },
        ),
    );
  });
}
