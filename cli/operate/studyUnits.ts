/** Units of a study as a file: what a machine with an empty store goes on from. They hold outcomes and costs, and no text of a dataset or a model. */
import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';
import { readJson } from '../../activities/inputs.ts';
import { unitDocument, type StudyInput, type StudyPlan, type UnitRecord } from '../../activities/studyPlans.ts';
import { suiteNames } from '../../alignment/benchmarks/benchmarkNames.ts';
import type { SplicedPair } from '../../alignment/evaluation/faithfulness.ts';
import { missingAnswers } from '../../alignment/evaluation/suiteAnswers.ts';
import { refusalJudges, type StudyOutcome } from '../../alignment/study/outcomes.ts';
import type { ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { badInput } from '../errors.ts';

const share = z.number().min(0).max(1);
const amount = z.number().min(0);
const digest = z.string().regex(/^[0-9a-f]{64}$/, 'a sha256 digest');
const told = z.boolean().nullable();

const outcome: z.ZodType<StudyOutcome> = z.strictObject({
  id: z.string().min(1),
  suite: z.enum(suiteNames),
  kind: z.enum(['harmful', 'look-alike', 'utility']),
  goal: z.string().min(1),
  attack: z.string().nullable(),
  refusal: z.record(z.enum(refusalJudges), told).optional(),
  rubric: share.nullable().optional(),
  judgedRefusal: told.optional(),
  leak: share.nullable().optional(),
  harmByGuard: told.optional(),
  correct: share.optional(),
  missing: z.enum(missingAnswers).nullable().optional(),
  format: z.boolean(),
  cut: z.boolean(),
  tokens: amount,
});

const spliced = z.strictObject({ requestId: z.string(), own: told, control: told, swapped: told });

const pair: z.ZodType<SplicedPair> = z.strictObject({
  hazard: z.string(),
  harmful: spliced,
  lookAlike: spliced,
  formed: z.boolean(),
});

const unitLine: z.ZodType<UnitRecord & { studyId: string }> = z.strictObject({
  studyId: z.string(),
  unit: z.string(),
  arm: z.string(),
  model: z.string(),
  seed: z.int().nullable(),
  at: z.iso.datetime(),
  modelName: z.string(),
  modelDigest: digest,
  adapterSha256: digest.nullable(),
  maxNewTokens: z.int().min(1),
  rubricJudge: z.string().nullable(),
  guardJudge: z.string().optional(),
  runId: z.string().optional(),
  cost: z.strictObject({
    answers: amount,
    tokens: amount,
    seconds: amount,
    judge: z.strictObject({ asked: amount, kept: amount, cost: amount, meanLatencyMs: amount }).optional(),
    training: z.strictObject({ seconds: amount, generatedTokens: amount, trainedTokens: amount.nullable() }).optional(),
  }),
  outcomes: z.array(outcome).min(1),
  faithfulness: z.array(pair).optional(),
});

/**
 * Puts the units of a file, `.jsonl` or `.jsonl.gz`, into the store, those that are not there yet.
 * @returns how many the file holds.
 * @throws CliError for a file that can't be read, or has other units than the study's; then nothing is put.
 */
export async function importUnits(store: ArtifactStore, study: StudyInput, file: string): Promise<number> {
  const { units: planned } = await readJson<StudyPlan>(store, study.plan);
  const lines = (await textOf(file))
    .split('\n')
    .flatMap((line, index) => (line.trim() === '' ? [] : [{ line, at: index + 1 }]));
  const records = lines.map(({ line, at }) => {
    const refuse = (what: string): never => {
      throw badInput(
        `${file}, line ${at}: ${what}.`,
        'A file of units is the units.jsonl that `cada compare` wrote for this very study, as it is or packed (.gz); leave out --units to begin without one.',
      );
    };
    const { studyId, ...record } = parsedLine(line, refuse);
    if (studyId !== study.studyId) refuse(`a unit of study ${studyId}, and this one is ${study.studyId}`);
    const own = planned.find(({ id }) => id === record.unit);
    if (!own) return refuse(`the study has no unit "${record.unit}"`);
    if (own.arm !== record.arm || own.model !== record.model || own.seed !== record.seed) {
      refuse(`unit "${record.unit}" is not of arm "${own.arm}", model "${own.model}" and seed ${own.seed}`);
    }
    return record;
  });
  for (const record of records) await store.putDocument(unitDocument(study.studyId, record.unit), record, 'ifAbsent');
  return records.length;
}

/** The units that are done, as JSON Lines, in the order of the study. */
export async function unitLines(store: ArtifactStore, { studyId, plan }: StudyInput): Promise<string> {
  const { units } = await readJson<StudyPlan>(store, plan);
  const lines: string[] = [];
  for (const { id } of units) {
    const record = (await store.getDocument<UnitRecord>(unitDocument(studyId, id)))?.value;
    if (!record) continue;
    // The answers themselves stay in this store.
    const { result: _result, ...told } = record;
    lines.push(`${canonicalJson({ studyId, ...told }).toString()}\n`);
  }
  return lines.join('');
}

/** Unpacked: ten thousand units of some hundred questions. */
const mostBytes = 500e6;

async function textOf(file: string): Promise<string> {
  try {
    const bytes = await readFile(file);
    return (file.endsWith('.gz') ? gunzipSync(bytes, { maxOutputLength: mostBytes }) : bytes).toString('utf8');
  } catch (error) {
    throw badInput(`The units of ${file} can not be read: ${(error as Error).message}.`);
  }
}

function parsedLine(line: string, refuse: (what: string) => never): UnitRecord & { studyId: string } {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch (error) {
    return refuse(`not JSON (${(error as Error).message})`);
  }
  const parsed = unitLine.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  return refuse(`${issue!.path.join('.') || 'the unit'}: ${issue!.message}`);
}
