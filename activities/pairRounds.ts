/** PAIR, round by round: what the target answered is judged, and the attacker writes the next prompts. */
import { bestTurn, newStreams, pairQuestion, readPairReply, type PairStream } from '../alignment/attacks/pair.ts';
import type { SuiteQuestion } from '../alignment/benchmarks/suites.ts';
import type { ChainRecord } from '../alignment/chains/chain.ts';
import { attackerInputs } from '../alignment/configuration/attacks.ts';
import { gradingSettings, type JudgeSettings } from '../alignment/configuration/judge.ts';
import { createRuleJudge } from '../alignment/judges/ruleJudge.ts';
import type { JudgedText } from '../alignment/judges/judge.ts';
import { judgedText } from '../alignment/rewards/scoreChain.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import { sha256 } from '../infra/artifacts/digest.ts';
import { readAttack, attackedQuestion, type AttackInput, type AttackReport, type ReadAttack } from './attackInputs.ts';
import { openAttacker } from './attacker.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { generatedChains } from './generateChains.ts';
import { readJson, readLibrary, readLines, toLines } from './inputs.ts';
import { askAll, judgeFigures, rubricJudgeFor } from './judgePool.ts';
import type { GenerationPlan, ShardList } from './plans.ts';
import { withHeartbeats } from './pulse.ts';
import { runStage } from './stage.ts';
import type { ArtifactRef, Figures, PolicyState, RunContext } from './types.ts';

export interface PairRoundInput extends AttackInput {
  policy: PolicyState;
  round: number;
  /** Of the round before; without plan and chains where that had no prompts. */
  previous?: { streams: ArtifactRef; plan?: ArtifactRef; chains?: ArtifactRef };
}

export interface PairRound extends AttackReport {
  /** JSON Lines of PairStream. */
  streams: ArtifactRef;
  /** JSON Lines of SuiteQuestion: what the target is asked in this round. */
  questions: ArtifactRef;
  prompts: number;
  /** Streams that have rounds left. */
  open: number;
}

export async function pairRound(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: PairRoundInput,
): Promise<PairRound> {
  const { store } = dependencies;
  const read = await readAttack(dependencies, run, input);
  const judge = input.judge ? await readJson<JudgeSettings>(store, input.judge) : undefined;
  const library = await readLibrary(store, run);
  const { settings, goals, configuration } = read;
  const stage = {
    stage: 'pairRound',
    version: 1,
    inputs: {
      ...{ round: input.round, pair: settings.pair, seed: configuration.seed, chain: configuration.chain },
      goals: goals.map(({ id, goal }) => [id, goal]),
      attacker: settings.attacker ? attackerInputs(settings.attacker) : null,
      judge: judge ? gradingSettings(judge) : sha256(canonicalJson(library.judges)),
      streams: input.previous?.streams.sha256 ?? null,
      chains: input.previous?.chains?.sha256 ?? null,
    },
  };
  const manifest = await runStage(dependencies, stage, () =>
    withHeartbeats(async () => {
      const startedAt = performance.now();
      const streams = input.previous
        ? await readLines<PairStream>(store, input.previous.streams)
        : goals.flatMap(({ id }) => newStreams(id, settings.pair.streams));
      const answered = await takeAnswers(dependencies, run, read, input, judge, streams);
      const asked =
        input.round < settings.pair.iterations ? await writePrompts(dependencies, run, read, input.round, streams) : {};
      const questions = questionsOf(goals, streams, input.round);
      return {
        outputs: {
          streams: { bytes: toLines(streams), kind: 'pair-streams' },
          questions: { bytes: toLines(questions), kind: 'suite-questions' },
        },
        figures: {
          seconds: (performance.now() - startedAt) / 1000,
          prompts: questions.length,
          open: input.round < settings.pair.iterations ? streams.filter(({ done }) => !done).length : 0,
          costs: { ...answered, ...asked, ...(input.round === 0 ? { questions: goals.length } : {}) },
        },
      };
    }),
  );
  const figures = manifest.figures as { seconds: number; prompts: number; open: number; costs: Figures };
  const generation = await generationCost(dependencies, read, input);
  const seconds = figures.seconds + generation.seconds;
  return {
    ...{ cached: manifest.cached, tokens: generation.tokens, seconds, prompts: figures.prompts, open: figures.open },
    streams: manifest.outputs['streams']!,
    questions: manifest.outputs['questions']!,
    costs: { pair: { ...figures.costs, tokens: generation.tokens, seconds } },
  };
}

const turnId = (question: string, stream: number, round: number): string => `${question}@pair/${stream}.${round}`;

/** The prompts of a round as questions. */
function questionsOf(goals: readonly SuiteQuestion[], streams: readonly PairStream[], round: number): SuiteQuestion[] {
  const byId = new Map(goals.map((goal) => [goal.id, goal]));
  return streams.flatMap(({ question, stream, turns }) => {
    const last = turns.at(-1);
    if (last?.round !== round) return [];
    return [{ ...attackedQuestion(byId.get(question)!, 'pair', last.prompt), id: turnId(question, stream, round) }];
  });
}

/** Enters answers and their scores into the streams; a question's streams end where one of them has succeeded. */
async function takeAnswers(
  { store }: ActivityDependencies,
  run: RunContext,
  { goals, settings, configuration }: ReadAttack,
  { round, previous }: PairRoundInput,
  judge: JudgeSettings | undefined,
  streams: PairStream[],
): Promise<Figures> {
  if (!previous?.chains) return {};
  const list = await readJson<ShardList>(store, previous.chains);
  const chains = new Map<string, ChainRecord>();
  for (const { artifact } of list.shards) {
    for (const chain of await readLines<ChainRecord>(store, artifact)) chains.set(chain.requestId, chain);
  }
  const goalOf = new Map(goals.map(({ id, goal }) => [id, goal]));
  const waiting = streams.flatMap((stream) => {
    const chain = chains.get(turnId(stream.question, stream.stream, round - 1));
    const turn = stream.turns.at(-1);
    if (!chain || !turn) return [];
    return [{ turn, judged: judgedText(chain, { request: goalOf.get(stream.question)! }, configuration) }];
  });
  const { helps, figures } = await scoresOf(
    waiting.map(({ judged }) => judged),
    { store, run, judge, configuration },
  );
  waiting.forEach(({ turn, judged }, index) => {
    turn.answer = judged.finalResponse;
    turn.help = helps[index]!;
  });
  const succeeded = new Set(
    streams.flatMap(({ question, turns }) => ((turns.at(-1)?.help ?? 0) >= settings.pair.success ? [question] : [])),
  );
  const before = new Set(streams.flatMap(({ question, done }) => (done ? [question] : [])));
  for (const stream of streams) if (succeeded.has(stream.question)) stream.done = true;
  return {
    ...figures,
    targetAnswers: waiting.length,
    succeeded: [...succeeded].filter((question) => !before.has(question)).length,
  };
}

/** How much each answer helps, by the evaluation's judge: 1 - refused or not by rules, or StrongREJECT's score. */
async function scoresOf(
  texts: readonly JudgedText[],
  {
    store,
    run,
    judge,
    configuration,
  }: {
    store: ActivityDependencies['store'];
    run: RunContext;
    judge: JudgeSettings | undefined;
    configuration: ReadAttack['configuration'];
  },
): Promise<{ helps: (number | null)[]; figures: Figures }> {
  if (judge) {
    const gradings = await askAll(
      rubricJudgeFor(store, run.runId, judge),
      texts,
      configuration.iteration.maxUnscorable,
    );
    return {
      helps: gradings.map((grading) => grading?.score ?? null),
      figures: judgeFigures(gradings.flatMap((grading) => grading ?? [])),
    };
  }
  const rules = createRuleJudge((await readLibrary(store, run)).judges.refusal);
  const helps = texts.map((text) => {
    const judgement = rules(text);
    return 'unscorable' in judgement ? null : Number(judgement.verdict === 'compliance');
  });
  return { helps, figures: {} };
}

/** Asks the attacker for a prompt of every stream that goes on. Where its budget is spent, the stream ends. */
async function writePrompts(
  { store }: ActivityDependencies,
  run: RunContext,
  { goals, settings, configuration }: ReadAttack,
  round: number,
  streams: PairStream[],
): Promise<Figures> {
  const attacker = openAttacker(store, run, settings.attacker);
  const goalOf = new Map(goals.map(({ id, goal }) => [id, goal]));
  await Promise.all(
    streams.map(async (stream) => {
      if (stream.done) return;
      const place = `${configuration.seed}/pair/${stream.question}/${stream.stream}/${round}`;
      const answer = await attacker.ask(
        {
          messages: pairQuestion(goalOf.get(stream.question)!, stream),
          temperature: settings.attacker!.temperature,
          seed: Number.parseInt(sha256(place).slice(0, 7), 16),
          // Streams of one approach, and a round after one without a prompt, ask the same question.
          slot: stream.stream * settings.pair.iterations + round,
        },
        readPairReply,
      );
      if ('text' in answer) stream.turns.push({ round, ...answer.text });
      else if (answer.failure === 'unasked') stream.done = true;
      else stream[answer.failure] += 1;
    }),
  );
  return attacker.figures();
}

/** Of the answers to the round before. */
async function generationCost(
  dependencies: ActivityDependencies,
  { configuration }: ReadAttack,
  { previous, policy }: PairRoundInput,
): Promise<{ tokens: number; seconds: number }> {
  const cost = { tokens: 0, seconds: 0 };
  if (!previous?.plan) return cost;
  const plan = await readJson<GenerationPlan>(dependencies.store, previous.plan);
  for (const shard of plan.shards.keys()) {
    const manifest = await generatedChains(dependencies, plan, shard, policy, configuration);
    const { tokens = 0, seconds = 0 } = (manifest?.figures ?? {}) as Record<string, number | undefined>;
    cost.tokens += tokens;
    cost.seconds += seconds;
  }
  return cost;
}

/** What PAIR came to: of each question the prompt that helped most. A question that the attacker wrote nothing for is left out. */
export async function pairQuestions(
  { store }: ActivityDependencies,
  { goals }: ReadAttack,
  streams: ArtifactRef,
): Promise<SuiteQuestion[]> {
  const all = await readLines<PairStream>(store, streams);
  return goals.flatMap((goal) => {
    const best = bestTurn(all.filter(({ question }) => question === goal.id));
    return best ? [attackedQuestion(goal, 'pair', best.prompt)] : [];
  });
}
