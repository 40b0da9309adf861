/** Runs the evaluation of a policy on suites: publishes what it needs, starts or finds the workflow, follows it, reads the result. */
import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { readConfiguration, readJson } from '../../activities/inputs.ts';
import type { SuiteResult } from '../../activities/judgeSuites.ts';
import { taskQueues, type ArtifactRef, type PolicyState, type RunRecord } from '../../activities/types.ts';
import { templatesAmong, type AnyAttackName } from '../../alignment/attacks/attackNames.ts';
import type { SuiteName } from '../../alignment/benchmarks/benchmarkNames.ts';
import { attackQuestions, selectQuestions, studySize, type SuiteQuestion } from '../../alignment/benchmarks/suites.ts';
import type { GuardModelSettings } from '../../alignment/configuration/guardModel.ts';
import type { AttackSettings } from '../../alignment/configuration/attacks.ts';
import type { JudgeSettings } from '../../alignment/configuration/judge.ts';
import { configurationSchema, type Configuration } from '../../alignment/configuration/schema.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { sha256 } from '../../infra/artifacts/digest.ts';
import { cadaCache } from '../../infra/paths.ts';
import { connectClient, resolveTemporal, type TemporalEndpoint } from '../../infra/temporal/connection.ts';
import { startEmbeddedCluster, type EmbeddedCluster } from '../../workers/embedded.ts';
import { requireSharedStore } from '../../workers/sharedStore.ts';
import type { SuitesInput, SuitesOutcome } from '../../workflows/evaluateSuites.ts';
import { progressQuery } from '../../workflows/messages.ts';
import { isBare, type InferenceArm } from '../../alignment/study/inferenceArm.ts';
import { badInput } from '../errors.ts';
import { searchedAttacks, tellAttackWork } from './attackPlan.ts';
import { findRun } from '../runs.ts';
import { readSuite } from './benchmarkFiles.ts';
import { readLibraryFiles } from './libraryFiles.ts';

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
      library: await put(await readLibraryFiles(configuration.library.path), 'library'),
    },
    questions: await store.putBytes(questions.map((one) => `${JSON.stringify(one)}\n`).join(''), 'suite-questions'),
    ...(request.judge ? { judge: await put(request.judge, 'judge-settings') } : {}),
    ...(request.guard ? { guard: await put(request.guard, 'guard-settings') } : {}),
    ...(searched ? { attacks: await put(searched, 'attack-settings') } : {}),
    ...(policy ? { policy } : {}),
    ...arm,
  };
  const outcome = await runWorkflow(id, input, store, request, report);
  const result = await readJson<SuiteResult>(store, outcome.result);
  await store.putDocument(`evaluations/${id}.json`, { target: request.target, ...outcome }, 'replace');
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
  const leaks = request.leaks ? { leaks: true } : {};
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
      evaluation: leaks,
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
    evaluation: { ...own.evaluation, ...leaks },
  };
  const { model, adapter } = record.policy;
  return { configuration, policy: { model, ...(adapter && !base ? { adapter } : {}) }, name: record.runId };
}

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

async function runWorkflow(
  id: string,
  input: SuitesInput,
  store: ArtifactStore,
  request: EvaluationRequest,
  report: (line: string) => void,
): Promise<SuitesOutcome> {
  const target = resolveTemporal(process.env);
  if (target.kind === 'external') {
    requireSharedStore(store.uri, target.address);
    return onServer(target, id, input, request, report, undefined);
  }
  let cluster: EmbeddedCluster | undefined;
  try {
    cluster = await startEmbeddedCluster({
      ...{ runId: id, storeUri: request.storeUri, home: request.home, cache: cadaCache(), env: process.env },
      signal: request.signal,
      report: (line, importance) => {
        if (importance !== 'routine') report(line);
      },
    });
    request.signal.throwIfAborted();
    return await onServer(cluster.server, id, input, request, report, cluster.failed);
  } finally {
    await cluster?.stop();
  }
}

async function onServer(
  endpoint: TemporalEndpoint,
  id: string,
  input: SuitesInput,
  { signal }: EvaluationRequest,
  report: (line: string) => void,
  workerFailed: Promise<never> | undefined,
): Promise<SuitesOutcome> {
  const connected = await connectClient(endpoint);
  try {
    const handle = await connected.client.workflow.start<(input: SuitesInput) => Promise<SuitesOutcome>>(
      'evaluateSuites',
      {
        workflowId: id,
        taskQueue: taskQueues.control,
        args: [input],
        workflowIdConflictPolicy: 'USE_EXISTING',
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        staticSummary: `CADA evaluation ${id}`,
      },
    );
    return await follow(connected.client, handle, signal, report, workerFailed);
  } finally {
    await connected.close().catch(() => {});
  }
}

const pollMs = 1000;
const lineMs = 5000;

async function follow(
  client: Client,
  handle: WorkflowHandle<(input: SuitesInput) => Promise<SuitesOutcome>>,
  signal: AbortSignal,
  report: (line: string) => void,
  workerFailed: Promise<never> | undefined,
): Promise<SuitesOutcome> {
  const left = new AbortController();
  const outcome = client.connection.withAbortSignal(left.signal, () => handle.result());
  outcome.catch(() => {});
  let told = '';
  let toldAt = 0;
  try {
    for (;;) {
      const next = await Promise.race([
        outcome,
        sleep(pollMs, 'poll' as const, { signal }),
        ...(workerFailed ? [workerFailed] : []),
      ]);
      if (next !== 'poll') return next;
      const progress = await client
        .withDeadline(Date.now() + 3 * pollMs, () => handle.query(progressQuery))
        .catch(() => undefined);
      if (!progress) continue;
      const { stage, shardsDone, shardsTotal, tokensPerSecond } = progress;
      const speed = tokensPerSecond === undefined ? '' : `, ${Math.round(tokensPerSecond)} tokens/s`;
      const line = shardsTotal === 0 ? stage : `${stage}: ${shardsDone} of ${shardsTotal} shards${speed}`;
      if (line === told || (told.split(':')[0] === stage && Date.now() - toldAt < lineMs)) continue;
      report(line);
      told = line;
      toldAt = Date.now();
    }
  } finally {
    left.abort();
  }
}
