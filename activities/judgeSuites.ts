/** Evaluation on suites: what is asked, how the answers are scored, what they come to. */
import type { TextVectors } from '../alignment/cases/similarity.ts';
import type { ChainRecord } from '../alignment/chains/chain.ts';
import { usesEmbeddings } from '../alignment/configuration/caseSampling.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import { guardThreshold, isUnsafe, type GuardModelSettings } from '../alignment/configuration/guardModel.ts';
import { gradingSettings, type JudgeSettings } from '../alignment/configuration/judge.ts';
import { suiteNames, type SuiteName } from '../alignment/benchmarks/benchmarkNames.ts';
import type { SuiteQuestion } from '../alignment/benchmarks/suites.ts';
import { scoreAnswer, type SuiteAnswer } from '../alignment/evaluation/suiteAnswers.ts';
import { suiteFigures, type SuiteFigures } from '../alignment/evaluation/suiteFigures.ts';
import { jailbreakQuestion, refusalQuestion } from '../alignment/judges/outcomeQuestions.ts';
import { createRuleJudge } from '../alignment/judges/ruleJudge.ts';
import { armPrompt } from '../alignment/study/armPrompt.ts';
import { isBare, type InferenceArm } from '../alignment/study/inferenceArm.ts';
import type { Library } from '../alignment/library/library.ts';
import { judgedText } from '../alignment/rewards/scoreChain.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import { sha256 } from '../infra/artifacts/digest.ts';
import { readStep, stepKey } from '../infra/artifacts/steps.ts';
import type { AttackCosts } from './attackInputs.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { unembeddedPlan, vectorsFor } from './embedTexts.ts';
import { judgeName, type Tally } from './endpointJudge.ts';
import type { FaithfulnessArtifact } from './faithfulness.ts';
import { findLeaks } from './findLeaks.ts';
import { guardName, guardStepKey, guardVerdicts } from './guardChains.ts';
import { formatInputs } from './formatInputs.ts';
import { readConfiguration, readJson, readLibrary, readLines, toLines } from './inputs.ts';
import { addJudgeUse, askAll, judgeFigures, outcomeJudgeFor, rubricJudgeFor } from './judgePool.ts';
import type { GenerationItem, ModelManifest, ShardList } from './plans.ts';
import { publishGreedy } from './publishGreedy.ts';
import { withSharedOpenings } from './sharedOpenings.ts';
import { runStage, type Stage } from './stage.ts';
import type { ArtifactRef, Figures, PolicyState, RunContext, ShardedPlan, ShardReport } from './types.ts';

export interface SuiteInput {
  /** JSON Lines of SuiteQuestion. */
  questions: ArtifactRef;
  /** JudgeSettings; absent = no rubric judge. */
  judge?: ArtifactRef;
  /** A guard model and its settings; absent = none was asked. */
  guard?: { settings: ArtifactRef; model: ArtifactRef };
  /** What stands before each question; absent = nothing. */
  arm?: InferenceArm;
}

/** The questions as greedy generation, cut into shards. */
export async function planSuites(
  { store }: ActivityDependencies,
  run: RunContext,
  { questions, arm }: SuiteInput,
  model?: ArtifactRef,
): Promise<ShardedPlan> {
  const configuration = await readConfiguration(store, run);
  const asked = await readLines<SuiteQuestion>(store, questions);
  const library = arm && !isBare(arm) ? await readLibrary(store, run) : undefined;
  let vectors: TextVectors | undefined;
  if (arm && library && usesEmbeddings({ ...arm, count: arm.cases })) {
    const goals = asked.map(({ goal }) => goal);
    const found = await vectorsFor(store, configuration, library.cases, goals, model);
    if ('unembedded' in found) return unembeddedPlan(found.unembedded);
    ({ vectors } = found);
  }
  const items = arm && library ? guidedItems(asked, arm, library, configuration, vectors) : asked.map(generationItem);
  return publishGreedy(store, configuration, 'suites', withSharedOpenings(items));
}

function generationItem({ id, prompt, messages: dialogue }: SuiteQuestion): GenerationItem {
  const messages = dialogue ?? [{ role: 'user' as const, content: prompt }];
  return {
    ...{ requestId: id, rawMessages: messages, guidance: 'raw', caseIds: [] },
    ...{ messages, sharedMessages: 0, firstSample: 0, seeds: [''] },
  };
}

/** Questions with the same codes and cases before them stand together: a shard computes that prefix once. */
function guidedItems(
  questions: readonly SuiteQuestion[],
  arm: InferenceArm,
  library: Library,
  { chain, seed }: Configuration,
  vectors: TextVectors | undefined,
): GenerationItem[] {
  const byPrefix = new Map<string, GenerationItem[]>();
  for (const question of questions) {
    const { messages, sharedMessages, caseIds } = armPrompt(question, arm, library, chain, String(seed), vectors);
    const item: GenerationItem = {
      ...generationItem(question),
      ...{ guidance: 'cases', caseIds, messages, sharedMessages },
    };
    const prefix = JSON.stringify(messages.slice(0, sharedMessages));
    const group = byPrefix.get(prefix);
    if (group) group.push(item);
    else byPrefix.set(prefix, [item]);
  }
  return [...byPrefix.values()].flat();
}

export interface JudgeAnswersInput extends SuiteInput {
  chains: ArtifactRef;
  shard: number;
}

/** Scores the answers of one shard. */
export async function judgeAnswers(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: JudgeAnswersInput,
): Promise<ShardReport> {
  const { store } = dependencies;
  const inputs = await readInputs(dependencies, run, input);
  const list = await readJson<ShardList>(store, input.chains);
  const chainsRef = list.shards[input.shard]!.artifact;
  const guarded = await guardOf(dependencies, run, input, chainsRef);
  const manifest = await runStage(dependencies, judgeStage(chainsRef, inputs, guarded), async () => {
    const startedAt = performance.now();
    const questions = new Map(inputs.questions.map((question) => [question.id, question]));
    const chains = await readLines<ChainRecord>(store, chainsRef);
    const settings = {
      chain: inputs.configuration.chain,
      rules: createRuleJudge(inputs.library.judges.refusal),
      publishedPhrases: inputs.library.judges.publishedPhrases,
    };
    const answers = chains.map((chain) =>
      scoreAnswer(
        questions.get(chain.requestId)!,
        { text: chain.text, tokens: chain.tokens.length, cut: chain.finishReason === 'length' },
        settings,
      ),
    );
    const asked = await askJudge(dependencies, run, inputs, chains, answers);
    asked.push(...(await addLeaks(dependencies, run, inputs, chains, answers)));
    if (guarded) await addVerdicts(dependencies, guarded, answers);
    return {
      outputs: { answers: { bytes: toLines(answers), kind: 'suite-answers' } },
      figures: {
        rows: answers.length,
        tokens: 0,
        seconds: (performance.now() - startedAt) / 1000,
        ...judgeFigures(asked),
      },
    };
  });
  const { seconds } = manifest.figures as { seconds: number };
  return { cached: manifest.cached, tokens: 0, seconds };
}

interface Inputs {
  configuration: Configuration;
  library: Library;
  questions: SuiteQuestion[];
  questionsSha256: string;
  judge: JudgeSettings | undefined;
}

async function readInputs({ store }: ActivityDependencies, run: RunContext, input: SuiteInput): Promise<Inputs> {
  return {
    configuration: await readConfiguration(store, run),
    library: await readLibrary(store, run),
    questions: await readLines<SuiteQuestion>(store, input.questions),
    questionsSha256: input.questions.sha256,
    judge: input.judge ? await readJson<JudgeSettings>(store, input.judge) : undefined,
  };
}

/** Where the guard model's verdicts on a shard are, and what counts as unsafe. */
interface Guarded {
  key: string;
  settings: GuardModelSettings;
}

async function guardOf(
  dependencies: ActivityDependencies,
  run: RunContext,
  { questions, guard }: SuiteInput,
  chains: ArtifactRef,
): Promise<Guarded | undefined> {
  if (!guard) return undefined;
  const subject = { model: guard.model, suite: { questions, settings: guard.settings } };
  return {
    key: await guardStepKey(dependencies, run, subject, chains),
    settings: await readJson<GuardModelSettings>(dependencies.store, guard.settings),
  };
}

async function addVerdicts(
  dependencies: ActivityDependencies,
  { key, settings }: Guarded,
  answers: readonly SuiteAnswer[],
): Promise<void> {
  const verdicts = await guardVerdicts(dependencies, key);
  for (const [index, answer] of answers.entries()) {
    const verdict = verdicts[index];
    if (!verdict) continue;
    const { unsafe } = verdict;
    answer.guard = { unsafe, harmful: unsafe === null ? null : isUnsafe(unsafe, settings) };
  }
}

function judgeStage(
  chains: ArtifactRef,
  { configuration, library, questionsSha256, judge }: Inputs,
  guarded: Guarded | undefined,
): Stage {
  return {
    stage: 'judgeAnswers',
    version: 3,
    inputs: {
      chains: chains.sha256,
      questions: questionsSha256,
      ...formatInputs(configuration.chain),
      judges: sha256(canonicalJson(library.judges)),
      rubric: judge ? gradingSettings(judge) : null,
      ...(configuration.evaluation.leaks ? { leaks: true } : {}),
      ...(guarded ? { guard: guarded.key, guardThreshold: guardThreshold(guarded.settings) } : {}),
    },
  };
}

/** JailbreakBench and HarmBench are scored by a yes or no, JailbreakBench by refusals of both halves. */
const askedForJailbreaks: readonly SuiteName[] = ['jailbreakbench', 'jailbreakbench-attacks', 'harmbench'];
const askedForRefusals: readonly SuiteName[] = ['jailbreakbench', 'jailbreakbench-attacks'];

/**
 * Adds what the judge behind the endpoint says: the rubric's score on harmful prompts, refusals of safe ones, and what a suite is scored by besides. It is told
 * the goal and the final response: no analysis, and no attack's wording. Answers with what that came to.
 */
async function askJudge(
  { store }: ActivityDependencies,
  run: RunContext,
  { configuration, judge }: Inputs,
  chains: readonly ChainRecord[],
  answers: readonly SuiteAnswer[],
): Promise<Tally[]> {
  if (!judge) return [];
  const { maxUnscorable } = configuration.iteration;
  const textsOf = (wanted: (answer: SuiteAnswer) => boolean) =>
    chains.map((chain, index) => {
      const answer = answers[index]!;
      return wanted(answer) ? judgedText(chain, { request: answer.goal }, configuration) : undefined;
    });
  const gradings = await askAll(
    rubricJudgeFor(store, run.runId, judge),
    textsOf(({ kind }) => kind === 'harmful'),
    maxUnscorable,
  );
  const refusals = await askAll(
    outcomeJudgeFor(store, run.runId, judge, refusalQuestion),
    textsOf(({ kind, suite }) => kind === 'look-alike' || (kind === 'harmful' && askedForRefusals.includes(suite))),
    maxUnscorable,
  );
  const jailbreaks = await askAll(
    outcomeJudgeFor(store, run.runId, judge, jailbreakQuestion),
    textsOf(({ kind, suite }) => kind === 'harmful' && askedForJailbreaks.includes(suite)),
    maxUnscorable,
  );
  for (const [index, answer] of answers.entries()) {
    const [grading, refusal, jailbreak] = [gradings[index], refusals[index], jailbreaks[index]];
    if (grading) {
      const { score, unscorable } = grading;
      answer.rubric = { score, ...(unscorable === undefined ? {} : { unscorable }) };
    }
    if (refusal) answer.judgedRefusal = refusal.answer;
    if (jailbreak) answer.jailbroken = jailbreak.answer;
  }
  return [...gradings, ...refusals, ...jailbreaks].flatMap((one) => one ?? []);
}

/** Adds leaks to the answers, where they are looked for; answers with what the rubric judge was asked. */
async function addLeaks(
  { store }: ActivityDependencies,
  run: RunContext,
  { configuration, library, judge }: Inputs,
  chains: readonly ChainRecord[],
  answers: readonly SuiteAnswer[],
): Promise<Tally[]> {
  if (!configuration.evaluation.leaks) return [];
  const candidates = answers.map(({ kind, goal, refusal }, index) => ({
    ...{ text: chains[index]!.text, kind, request: goal, verdict: refusal?.rules ?? null },
  }));
  const { leaks, asked } = await findLeaks(candidates, {
    ...{ format: configuration.chain, judges: library.judges, maxUnscorable: configuration.iteration.maxUnscorable },
    rubric: judge ? rubricJudgeFor(store, run.runId, judge) : undefined,
  });
  for (const [index, leak] of leaks.entries()) if (leak) answers[index]!.leak = leak;
  return asked;
}

export interface SummaryInput extends SuiteInput {
  chains: ArtifactRef;
  policy: PolicyState;
  /** What the searched attacks have cost. */
  attackCosts?: AttackCosts;
  /** FaithfulnessArtifact; absent = not measured. */
  faithfulness?: ArtifactRef;
}

/** The result of an evaluation: figures, and every answer's scores they come from (no texts: those are in the chains). */
export interface SuiteResult {
  model: { name: string; digest: string; adapterSha256: string | null };
  /** What stood before each question; absent = nothing. */
  arm?: InferenceArm;
  maxNewTokens: number;
  /** Name of the rubric judge; null = none: no figure is a StrongREJECT score then. */
  rubricJudge: string | null;
  /** Name of the guard model that judged harm; absent = none was asked. */
  guardJudge?: string;
  suites: SuiteFigures[];
  answers: SuiteAnswer[];
  questions: ArtifactRef;
  chains: ArtifactRef;
  /** Calls and cost of the rubric judge. */
  judge: Figures;
  /** Of the attacks that were searched for: what that has cost and come to. */
  attackCosts?: AttackCosts;
  /** Whether answers follow analyses, with every pair's outcomes; absent = not measured. */
  faithfulness?: FaithfulnessArtifact;
}

export async function summariseSuites(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: SummaryInput,
): Promise<{ result: ArtifactRef }> {
  const { store } = dependencies;
  const inputs = await readInputs(dependencies, run, input);
  const { configuration, judge } = inputs;
  const list = await readJson<ShardList>(store, input.chains);
  const answers: SuiteAnswer[] = [];
  const total: Figures = {};
  for (const { artifact } of list.shards) {
    const guarded = await guardOf(dependencies, run, input, artifact);
    const manifest = await readStep(store, stepKey(judgeStage(artifact, inputs, guarded)));
    if (!manifest) throw new Error(`scores of ${artifact.uri} are not in the store: was an artifact removed?`);
    answers.push(...(await readLines<SuiteAnswer>(store, manifest.outputs['answers']!)));
    addJudgeUse(total, manifest.figures);
  }
  const rubricJudge = judge ? judgeName(gradingSettings(judge)) : undefined;
  const guardJudge = input.guard ? await guardName({ store }, input.guard) : undefined;
  const model = await readJson<ModelManifest>(store, input.policy.model);
  const result: SuiteResult = {
    model: {
      name: model.baseModelName,
      digest: model.digest,
      adapterSha256: input.policy.adapter?.sha256 ?? null,
    },
    ...(input.arm ? { arm: input.arm } : {}),
    maxNewTokens: configuration.chain.maxNewTokens,
    rubricJudge: rubricJudge ?? null,
    ...(guardJudge === undefined ? {} : { guardJudge }),
    suites: suiteNames.flatMap((suite) => {
      const ofSuite = answers.filter((answer) => answer.suite === suite);
      if (ofSuite.length === 0) return [];
      return suiteFigures(suite, ofSuite, {
        ...(rubricJudge === undefined ? {} : { rubricJudge }),
        ...(guardJudge === undefined ? {} : { guardJudge }),
        bootstrapSamples: configuration.evaluation.bootstrapSamples,
        seed: String(configuration.seed),
      });
    }),
    answers,
    questions: input.questions,
    chains: input.chains,
    judge: total,
    ...(input.attackCosts ? { attackCosts: input.attackCosts } : {}),
    ...(input.faithfulness ? { faithfulness: await readJson<FaithfulnessArtifact>(store, input.faithfulness) } : {}),
  };
  return { result: await store.putBytes(canonicalJson(result), 'suite-result') };
}
