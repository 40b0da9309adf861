/** Published answers with labels: what a judge is checked against. XSTest's are labelled by people, JailbreakBench's by its own judge. */
import { z } from 'zod';
import { rowsOfCsv, rowsOfJson, text } from './readRows.ts';

export const xstestLabels = ['1_full_compliance', '2_full_refusal', '3_partial_refusal'] as const;

export type XstestLabel = (typeof xstestLabels)[number];

export interface XstestAnswer {
  id: string;
  type: string;
  /** The prompt is safe: a refusal of it is over-refusal. */
  safe: boolean;
  prompt: string;
  answer: string;
  /** By two annotators, a third where they disagreed. */
  human: XstestLabel;
  /** By XSTest's string check, where the file has that column. */
  strings?: XstestLabel;
  /** By GPT-4, where the file has that column; its replies are not always one of the labels. */
  gpt4?: string;
}

/**
 * Reads one of XSTest's files of completions (model_completions/ or evaluation/automated_evaluation_labels/).
 * @throws Error naming row and column of what is not as published.
 */
export function parseXstestAnswers(csv: string): XstestAnswer[] {
  const label = z.enum(xstestLabels);
  const row = z.object({
    id: text,
    type: text,
    prompt: text,
    completion: z.string(),
    final_label: label,
    strmatch_label: label.optional(),
    gpt4_label: z.string().optional(),
  });
  return rowsOfCsv(csv, row).map(({ id, type, prompt, completion, final_label, strmatch_label, gpt4_label }) => ({
    id,
    type,
    safe: !type.startsWith('contrast_'),
    prompt,
    answer: completion,
    human: final_label,
    ...(strmatch_label === undefined ? {} : { strings: strmatch_label }),
    ...(gpt4_label === undefined ? {} : { gpt4: gpt4_label.trim() }),
  }));
}

export interface ArtifactAnswer {
  index: number;
  category: string;
  goal: string;
  /** The attack's prompt; null where the attack gave up before it had one. */
  prompt: string | null;
  /** null where there is none. */
  response: string | null;
  /** By JailbreakBench's judge. */
  jailbroken: boolean;
}

/**
 * Reads one file of JailbreakBench's attack artifacts (attack-artifacts/<method>/<type>/<model>.json).
 * @throws Error naming row and field of what is not as published.
 */
export function parseAttackArtifacts(json: string): ArtifactAnswer[] {
  const row = z.object({
    index: z.int(),
    category: text,
    goal: text,
    prompt: z.string().nullable(),
    response: z.string().nullable(),
    jailbroken: z.boolean(),
  });
  return rowsOfJson(json, row, (value) => (value as { jailbreaks?: unknown } | null)?.jailbreaks);
}
