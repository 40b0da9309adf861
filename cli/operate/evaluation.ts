/** Runs the evaluation of a policy on suites: publishes what it needs, starts or finds the workflow, follows it, reads the result. */
import { stat } from 'node:fs/promises';
import { readConfiguration, readJson } from '../../activities/inputs.ts';
import type { SuiteResult } from '../../activities/judgeSuites.ts';
import type { ArtifactRef, PolicyState, RunRecord } from '../../activities/types.ts';
import { templatesAmong, type AnyAttackName } from '../../alignment/attacks/attackNames.ts';
import type { SuiteName } from '../../alignment/benchmarks/benchmarkNames.ts';
import { attackQuestions, selectQuestions, studySize, type SuiteQuestion } from '../../alignment/benchmarks/suites.ts';
import type { GuardModelSettings } from '../../alignment/configuration/guardModel.ts';
import type { AttackSettings } from '../../alignment/configuration/attacks.ts';
import type { JudgeSettings } from '../../alignment/configuration/judge.ts';
import { configurationSchema, type Configuration } from '../../alignment/configuration/schema.ts';
import { parseLibrary } from '../../alignment/library/parseLibrary.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { sha256 } from '../../infra/artifacts/digest.ts';
import { announceWork, saveWork } from '../../infra/artifacts/otherWork.ts';
import { cadaCache } from '../../infra/paths.ts';
import type { SuitesInput, SuitesOutcome } from '../../workflows/evaluateSuites.ts';
import { isBare, type InferenceArm } from '../../alignment/study/inferenceArm.ts';
import { badInput } from '../errors.ts';
import { searchedAttacks, tellAttackWork } from './attackPlan.ts';
import { findRun } from '../runs.ts';
import { readSuite } from './benchmarkFiles.ts';
import { readRunLibrary } from './libraryFiles.ts';
import { runWorkflow } from './workflowRun.ts';

export interface EvaluationRequest {
  /** Model folder, .gguf file, hub id, or a run of the store. */
  target: string;
  suites: SuiteName[];
  /** Attacks on every harmful question, besides the question itself. */
  attacks: AnyAttackName[];
  /** Of attacks that are searched for. */
  attackSettings?: AttackSettings;
  /** Questions of each suite at most; absent = the study's sizes, 'all' = everything. */
  limit?: number | 'all';
  maxNewTokens?: number;
  /** Of a run: the model that it started from, not the aligned one. */
  base: boolean;
  seed: number;
  /** What stands before each question; absent = nothing. */
  arm?: InferenceArm;
  /** Judge the analyses of refusals too. */
  leaks?: true;
  /** Pairs of requests whose analyses are swapped; absent = none. */
  faithfulness?: { pairs: number };
  judge?: JudgeSettings;
  guard?: GuardModelSettings;
  /** Folder of the user's own copies of the benchmarks. */
  data: string | undefined;
  storeUri: string;
  home: string;
  signal: AbortSignal;
}

export interface Evaluation {
  id: string;
  result: SuiteResult;
  artifact: ArtifactRef;
  seconds: SuitesOutcome['seconds'];
}

/** @throws CliError for a target or suite that can't be had; the workflow's failure otherwise. */
export async function evaluate(request: EvaluationRequest, report: (line: string) => void): Promise<Evaluation> {
  const store = await openStore(request.storeUri);
  const { configuration, policy, name } = await targetOf(store, request);
  const searched = searchedAttacks(request.attacks, request.attackSettings);
  if (request.faithfulness) await checkFaithfulness(configuration, request.data);
  const questions = await questionsOf(request, report);
  tellAttackWork(request.attacks, request.attackSettings, questions, report);
  const arm = request.arm && !isBare(request.arm) ? { arm: request.arm } : {};
  const asked = {
    ...{ name, policy: policy ?? null, configuration, questions, judge: request.judge ?? null },
    ...(searched ? { attacks: searched } : {}),
    ...(request.guard ? { guard: request.guard } : {}),
    ...arm,
  };
  const id = `evaluation-${sha256(canonicalJson(asked)).slice(0, 12)}`;
  const put = (value: unknown, kind: string): Promise<ArtifactRef> => store.putBytes(canonicalJson(value), kind);
  const input: SuitesInput = {
    run: {
      runId: id,
      configuration: await put(configuration, 'configuration'),
      library: await put(await readRunLibrary(configuration.library, readingOf(request.data)), 'library'),
    },
    questions: await store.putBytes(questions.map((one) => `${JSON.stringify(one)}\n`).join(''), 'suite-questions'),
    ...(request.judge ? { judge: await put(request.judge, 'judge-settings') } : {}),
    ...(request.guard ? { guard: await put(request.guard, 'guard-settings') } : {}),
    ...(searched ? { attacks: await put(searched, 'attack-settings') } : {}),
    ...(policy ? { policy } : {}),
    ...(request.faithfulness ? { faithfulness: true as const } : {}),
    ...arm,
  };
  // Until it is forgotten (`cada gc --forget`), what it comes from and what it comes to stays.
  const known = { target: request.target, ...input };
  await announceWork(store, 'evaluation', id, known);
  const outcome = await runWorkflow<SuitesInput, SuitesOutcome>({
    ...{ workflow: 'evaluateSuites', id, input, summary: `CADA evaluation ${id}` },
    ...{ store, storeUri: request.storeUri, home: request.home, signal: request.signal, report },
  });
  const result = await readJson<SuiteResult>(store, outcome.result);
  await saveWork(store, 'evaluation', id, { ...known, ...outcome });
  return { id, result, artifact: outcome.result, seconds: outcome.seconds };
}

/** A benchmark's answers are longer than a demo's chains. */
const defaultNewTokens = 256;

async function targetOf(
  store: ArtifactStore,
  request: EvaluationRequest,
): Promise<{ configuration: Configuration; policy?: PolicyState; name: string }> {
  const { target, base, seed } = request;
  const newTokens = (given: number) => request.maxNewTokens ?? given;
  const asked = {
    ...(request.leaks ? { leaks: true } : {}),
    ...(request.faithfulness ? { faithfulness: request.faithfulness } : {}),
  };
  const isPath = await stat(target).then(
    () => true,
    () => false,
  );
  // A run's id holds no slash.
  if (isPath || target.includes('/')) {
    if (base) throw badInput('--base goes with a run: a model has no other base.', 'Leave it out, or name a run.');
    const configuration = configurationSchema.parse({
      name: 'evaluation',
      seed,
      model: { source: target },
      chain: { maxNewTokens: newTokens(defaultNewTokens) },
      evaluation: asked,
    });
    return { configuration, name: target };
  }
  const record: RunRecord = (await findRun(request.storeUri, target)).record;
  if (!record.policy || (!base && !record.policy.adapter)) {
    throw badInput(
      `Run "${record.runId}" has no aligned model yet.`,
      'Wait until its warm start has ended (`cada status`), or give --base.',
    );
  }
  // The same headings, engine and adapter settings as in the run: they decide what the policy computes.
  const own = configurationSchema.parse(await readConfiguration(store, record));
  const configuration = {
    ...own,
    seed,
    chain: { ...own.chain, maxNewTokens: newTokens(defaultNewTokens) },
    evaluation: { ...own.evaluation, ...asked },
  };
  const { model, adapter } = record.policy;
  return { configuration, policy: { model, ...(adapter && !base ? { adapter } : {}) }, name: record.runId };
}

/** @throws CliError where analyses can't be swapped. */
async function checkFaithfulness(configuration: Configuration, data: string | undefined): Promise<void> {
  const { checkPairs } = await import('./inputChecks.ts');
  const library = parseLibrary(await readRunLibrary(configuration.library, readingOf(data)));
  try {
    checkPairs(configuration, library);
  } catch (error) {
    throw badInput(`${(error as Error).message}.`, 'docs/evaluation.md tells how pairs are made.');
  }
}

const readingOf = (data: string | undefined) => ({ places: { data, cache: cadaCache() } });

async function questionsOf(request: EvaluationRequest, report: (line: string) => void): Promise<SuiteQuestion[]> {
  const questions: SuiteQuestion[] = [];
  for (const suite of request.suites) {
    const all = await readSuite(suite, { data: request.data, cache: cadaCache() }, report);
    const count = request.limit === 'all' ? all.length : (request.limit ?? studySize(suite));
    const chosen = selectQuestions(all, count, String(request.seed));
    const attacked = attackQuestions(chosen, templatesAmong(request.attacks), String(request.seed));
    const more = attacked.length - chosen.length;
    report(`${suite}: ${chosen.length} of ${all.length} questions${more > 0 ? `, and ${more} under attacks` : ''}`);
    questions.push(...attacked);
  }
  return questions;
}
