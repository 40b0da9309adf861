/**
 * What a run will take, before it does anything: stages with their chains, tokens and time; memory, bytes and requests of the store, actions on the
 * Temporal server, calls of a judge and what they cost.
 */
import { benchmarkSizes } from '../benchmarks/benchmarkNames.ts';
import { usesEmbeddings } from '../configuration/caseSampling.ts';
import { asksGuardModel, asksRubricJudge } from '../configuration/optionalRewards.ts';
import type { Configuration, RequestCounts } from '../configuration/schema.ts';
import { chainWriting, gradedAnswers, teacherCost } from './chainWriting.ts';
import { validatorJudge, validatorSettings } from '../configuration/validator.ts';

export interface PlannedStage {
  /** As the run's record names it: 'prepare', 'evaluate before', 'warm start', 'iterations', ... */
  stage: string;
  /** How often; the other numbers are of all times together. */
  times: number;
  chains: number;
  /** At most: every chain as long as `chain.maxNewTokens`. */
  generatedTokens: number;
  /** Prompt and completion tokens through forward and backward. */
  trainedTokens: number;
  seconds: number;
  /** Bytes put into the store. */
  storeBytes: number;
  /** Reads and writes of the store. */
  storeRequests: number;
  /** What a Temporal server counts: workflows and activities started, heartbeats. */
  temporalActions: number;
  /** Questions to a rubric judge. */
  judgeCalls: number;
  /** Questions to a teacher. */
  teacherCalls: number;
}

export interface RunEstimate {
  stages: PlannedStage[];
  seconds: number;
  generatedTokens: number;
  trainedTokens: number;
  /** Store and local copies of the model. */
  diskBytes: number;
  storeBytes: number;
  storeRequests: number;
  /** Largest resident memory of the engine. */
  memoryBytes: number;
  temporalActions: number;
  /** Of one iteration, whatever its number: the history does not grow with it. */
  temporalActionsPerIteration: number;
  judgeCalls: number;
  /** By the two prices of the judge, with replies as long as they may be; null where there are calls but no prices. */
  judgeCost: number | null;
  teacherCalls: number;
  /** Likewise, by the prices of the teacher. */
  teacherCost: number | null;
}

/** Speeds and sizes of the default model; another model or machine shifts all of them alike. */
export const measuredRates = {
  machine: '2 cores of an AMD EPYC, SmolLM2-135M-Instruct in fp32, 2 threads',
  /** Decoding at batch 32 with a short context; with the turns of four cases in the cache it is slower. */
  generatedTokensPerSecond: 340,
  guidedTokensPerSecond: 220,
  /** Prefill of what requests do not share. */
  promptTokensPerSecond: 750,
  /** Forward and backward; the reference's log-probabilities are a forward alone. */
  trainedTokensPerSecond: 285,
  forwardTokensPerSecond: 700,
  /** Chains end before `chain.maxNewTokens`: their mean length as a share of it. */
  shareOfLongestChain: 0.8,
  /** Chains that pass the filters of the warm start. */
  shareKept: 0.6,
  /** The template's system message and the request. */
  rawPromptTokens: 45,
  /** With codes and four cases, of which requests of one category share all but the request. */
  guidedPromptTokens: 700,
  guidedOwnTokens: 60,
  /** Codes and cases are read once a category and set of cases. */
  prefixesPerCategory: 2,
  categories: 12,
  /** What sampling by embeddings reads: pairs of the shipped library, and of each its harmful case's request; every request. */
  contrastPairs: 24,
  embeddedTokens: 15,
  prepareSeconds: 3,
  /** Merging, hashing and copying the weights into the store. */
  exportSeconds: 6,
  reportSeconds: 1,
  /** Ids, log-probabilities, text and scores of a token of a chain, as JSON. */
  bytesPerToken: 45,
  /** A worker's heartbeats reach the server at most so often. */
  secondsBetweenHeartbeats: 5,
  /** Of a question to a rubric judge: rubric, request and answer. */
  judgeInputTokens: 700,
  /** Instruction and categories of a guard model, read once a stage. */
  guardPromptTokens: 280,
  /** Of the question that a policy is asked about its own answer, without the answer. */
  selfQuestionTokens: 120,
  /** What orchestration adds to a generation or training stage: publishing, planning, collecting. */
  stageSeconds: 2,
};

const defaultModel = { parameters: 135e6, bytesPerParameter: 4 };

export function estimateRun(configuration: Configuration): RunEstimate {
  const { warmStart, iteration, evaluation, shards } = configuration;
  const weightBytes = defaultModel.parameters * defaultModel.bytesPerParameter;
  const evaluate = (stage: string): PlannedStage =>
    planned(
      stage,
      1,
      generation(configuration, evaluated(evaluation), 'raw'),
      utility(configuration),
      grading(configuration, Math.ceil(evaluated(evaluation) / shards.generationRequests), {
        harmful: gradedAnswers(evaluation),
        all: evaluated(evaluation),
      }),
      activities({ temporalActions: 1, storeRequests: 3 }),
      childWorkflow,
    );
  const prepare = activities({ temporalActions: 1, storeBytes: weightBytes, storeRequests: 24 });
  const stages = [
    planned('prepare', 1, { seconds: measuredRates.prepareSeconds }, prepare),
    // Taken to be as large as the default model.
    ...(asksGuardModel(configuration)
      ? [planned('prepare guard model', 1, { seconds: measuredRates.prepareSeconds }, prepare)]
      : []),
    evaluate('evaluate before'),
  ];
  if (warmStart.enabled) {
    const chains = total(warmStart.requests) * warmStart.samplesPerRequest;
    const kept = Math.min(
      Math.round(chains * measuredRates.shareKept),
      warmStart.keepPerKind ? total(warmStart.keepPerKind) : chains,
    );
    const sequences = kept * warmStart.epochs;
    stages.push(
      planned(
        'warm start',
        1,
        ...chainWriting(configuration, chains, (guidance) =>
          generation(configuration, chains, guidance, warmStart.samplesPerRequest),
        ),
        grading(configuration, Math.ceil(total(warmStart.requests) / shards.generationRequests), {
          harmful: warmStart.requests.harmful * warmStart.samplesPerRequest,
          all: chains,
        }),
        embedding(configuration, total(warmStart.requests), warmStart.target ? 'raw' : 'cases', 'first'),
        // A fresh adapter, the record of the warm start.
        activities({ temporalActions: 2, storeBytes: adapterBytes(configuration), storeRequests: 10 }),
        training(configuration, sequences, Math.ceil(sequences / warmStart.batchSequences), false),
        childWorkflow,
      ),
    );
    if (evaluation.afterWarmStart && iteration.count > 0) stages.push(evaluate('evaluate warm start'));
  }
  if (iteration.count > 0) {
    const chains = total(iteration.requests) * iteration.samplesPerRequest;
    stages.push(
      planned(
        'iterations',
        iteration.count,
        generation(configuration, chains, iteration.guidance, iteration.samplesPerRequest),
        embedding(configuration, total(iteration.requests), iteration.guidance, 'further'),
        grading(configuration, Math.ceil(total(iteration.requests) / shards.generationRequests), {
          harmful: iteration.requests.harmful * iteration.samplesPerRequest + evaluation.probe.harmful,
          all: chains + total(evaluation.probe),
        }),
        // A preference loss reads policy and reference before its step.
        training(configuration, chains, 1, iteration.method !== undefined || iteration.klWeight > 0),
        generation(configuration, total(evaluation.probe), 'raw'),
        badBeliefs(configuration),
        ...validation(configuration),
        // The iteration's record, the run's record, figures of the probe.
        activities({ temporalActions: 2 + (total(evaluation.probe) > 0 ? 1 : 0), storeRequests: 9 }),
        childWorkflow,
      ),
    );
  }
  const exported = weightBytes + adapterBytes(configuration);
  stages.push(
    evaluate('evaluate after'),
    planned(
      'export',
      1,
      { seconds: measuredRates.exportSeconds },
      activities({ temporalActions: 1, storeBytes: exported, storeRequests: 30 }),
    ),
    planned(
      'report',
      1,
      { seconds: measuredRates.reportSeconds },
      activities({ temporalActions: 2, storeBytes: 1e5, storeRequests: 20 }),
    ),
  );

  const sum = (of: (stage: PlannedStage) => number): number => stages.reduce((all, stage) => all + of(stage), 0);
  const iterations = stages.find(({ stage }) => stage === 'iterations');
  const judgeCalls = sum(({ judgeCalls }) => judgeCalls);
  const teacherCalls = sum(({ teacherCalls }) => teacherCalls);
  const storeBytes = sum(({ storeBytes }) => storeBytes);
  return {
    stages,
    seconds: sum(({ seconds }) => seconds),
    generatedTokens: sum(({ generatedTokens }) => generatedTokens),
    trainedTokens: sum(({ trainedTokens }) => trainedTokens),
    // Beside the store: the model as published, as compiled, and merged with the adapter.
    diskBytes: storeBytes + weightBytes * 3,
    storeBytes,
    storeRequests: sum(({ storeRequests }) => storeRequests),
    // Weights of sampler and trainer, with what preparing their sessions takes, and the activations of one micro-batch.
    // Sampler and trainer side by side, as on a machine with 32 times the weights' memory (measured 3.23 GB with 768 tokens, 3.47 GB with 1024); 1.4 times
    // the weights less where one of them is compiled at a time.
    memoryBytes: weightBytes * 4.9 + configuration.engine.microBatchTokens * 770e3,
    temporalActions: sum(({ temporalActions }) => temporalActions),
    temporalActionsPerIteration: iterations ? iterations.temporalActions / iterations.times : 0,
    judgeCalls,
    judgeCost: judgeCost(configuration, judgeCalls),
    teacherCalls,
    teacherCost: teacherCost(configuration, teacherCalls),
  };
}

export type Work = Partial<Omit<PlannedStage, 'stage' | 'times'>> & { seconds: number };

/** A stage that does all of this work, `times` over. */
function planned(stage: string, times: number, ...work: Work[]): PlannedStage {
  const sum = (of: (one: Work) => number | undefined): number =>
    times * work.reduce((all, one) => all + (of(one) ?? 0), 0);
  return {
    stage,
    times,
    chains: sum((one) => one.chains),
    generatedTokens: sum((one) => one.generatedTokens),
    trainedTokens: sum((one) => one.trainedTokens),
    seconds: sum((one) => one.seconds),
    storeBytes: Math.round(sum((one) => one.storeBytes)),
    storeRequests: sum((one) => one.storeRequests),
    temporalActions: sum((one) => one.temporalActions),
    judgeCalls: sum((one) => one.judgeCalls),
    teacherCalls: sum((one) => one.teacherCalls),
  };
}

/** Work that takes next to no time. */
const activities = (work: Omit<Work, 'seconds'>): Work => ({ ...work, seconds: 0 });

/** Its start counts once for the parent and once for itself; the run's record is saved before each stage. */
const childWorkflow = activities({ temporalActions: 3, storeRequests: 2 });

/** Requests for the step of one activity: its manifest is looked for, an object is put after its presence is asked for, the manifest is put. */
const requestsPerStep = 4;
/** What an activity reads: configuration, plan, its shard, the model's manifest. */
const readsPerStep = 4;

const heartbeats = (seconds: number): number => Math.round(seconds / measuredRates.secondsBetweenHeartbeats);

/**
 * Every chain for a harmful request is graded when it is rewarded, in a warm start, an iteration or an evaluation; a guard model reads those responses, or
 * all of them, as fast as a model of the default one's size.
 */
function grading(configuration: Configuration, shards: number, chains: { harmful: number; all: number }): Work {
  const { judge, guardModel, chain, evaluation } = configuration;
  // The analyses of refusals are further responses to be graded: at most all.
  const votes = (judge && asksRubricJudge(configuration) ? (judge.votes ?? 1) : 0) * (evaluation.leaks ? 2 : 1);
  const asked = activities({ judgeCalls: chains.harmful * votes, temporalActions: votes > 0 ? shards : 0 });
  if (!guardModel || !asksGuardModel(configuration)) return asked;
  const read = guardModel.requests === 'all' ? chains.all : chains.harmful;
  const rates = measuredRates;
  const tokens =
    read * (rates.rawPromptTokens + chain.maxNewTokens * rates.shareOfLongestChain) + rates.guardPromptTokens;
  const seconds = rates.stageSeconds + tokens / rates.promptTokensPerSecond;
  return {
    ...asked,
    seconds,
    storeRequests: shards * (requestsPerStep + readsPerStep + 2),
    temporalActions: (asked.temporalActions ?? 0) + shards + heartbeats(seconds),
  };
}

/** A validator answers and judges its split after each cycle, and once before the first. */
function validation(configuration: Configuration): Work[] {
  const { iteration, shards, chain } = configuration;
  const judge = iteration.method === 'iterative' ? validatorJudge(iteration.preference) : undefined;
  if (!judge) return [];
  const requests = total(validatorSettings(iteration.preference).requests);
  const shardCount = Math.ceil(requests / shards.generationRequests);
  const judgedTokens = 2 * requests * (measuredRates.selfQuestionTokens + chain.maxNewTokens);
  const once: Work[] = [
    generation(configuration, requests, 'raw'),
    // The decision itself.
    activities({ temporalActions: 1, storeRequests: 6 }),
    judge === 'rules'
      ? activities({})
      : {
          seconds: judge === 'self' ? judgedTokens / measuredRates.forwardTokensPerSecond : 0,
          judgeCalls: judge === 'endpoint' ? requests : 0,
          temporalActions: shardCount,
          storeRequests: shardCount * (requestsPerStep + readsPerStep + 2),
        },
  ];
  const times = (iteration.count + 1) / iteration.count;
  return once.map(
    (work) => Object.fromEntries(Object.entries(work).map(([name, value]) => [name, value * times])) as Work,
  );
}

/** One chain of each request under a wrong belief, where preferences reject such. */
function badBeliefs(configuration: Configuration): Work {
  const { method, preference, requests } = configuration.iteration;
  if (!method || !preference?.badBelief) return { seconds: 0 };
  const drawn = generation(configuration, total(requests), 'cases');
  // They are neither collected nor rewarded; what is planned is their prompts.
  return { ...drawn, temporalActions: Math.ceil(total(requests) / configuration.shards.generationRequests) + 1 };
}

function judgeCost({ judge }: Configuration, calls: number): number | null {
  if (!judge || calls === 0) return 0;
  if (judge.inputPrice === undefined && judge.outputPrice === undefined) return null;
  const reply = judge.maxTokens ?? 512;
  return (calls * (measuredRates.judgeInputTokens * (judge.inputPrice ?? 0) + reply * (judge.outputPrice ?? 0))) / 1e6;
}

function generation(
  { chain, shards, cases }: Configuration,
  chains: number,
  guidance: Configuration['iteration']['guidance'],
  samplesPerRequest = 1,
): Work {
  if (chains === 0) return { seconds: 0 };
  const rates = measuredRates;
  const share = { raw: 0, mixed: 0.5, cases: 1 }[guidance];
  const guided = chains * share;
  // Cases of each request's own share nothing with those of others.
  const ownCases = cases.sampling === 'similarity' || cases.order !== undefined;
  const prefixes = ownCases
    ? guided / samplesPerRequest
    : Math.min(guided, rates.categories * rates.prefixesPerCategory);
  const promptTokens =
    (chains - guided) * rates.rawPromptTokens + guided * rates.guidedOwnTokens + prefixes * rates.guidedPromptTokens;
  const length = chain.maxNewTokens * rates.shareOfLongestChain;
  const seconds =
    rates.stageSeconds +
    promptTokens / rates.promptTokensPerSecond +
    ((chains - guided) * length) / rates.generatedTokensPerSecond +
    (guided * length) / rates.guidedTokensPerSecond;
  const shardCount = Math.ceil(chains / samplesPerRequest / shards.generationRequests);
  return {
    chains,
    generatedTokens: chains * chain.maxNewTokens,
    seconds,
    storeBytes: chains * length * rates.bytesPerToken + promptTokens * 8,
    // Generation and rewards of each shard, twice looked up when they are collected; the plan with its shards.
    storeRequests: shardCount * (2 * (requestsPerStep + readsPerStep) + 2 * 3 + 2) + 12,
    // Choice of requests, each shard generated and rewarded, both collected.
    temporalActions: 3 + 2 * shardCount + heartbeats(seconds),
  };
}

/** Vectors of cases and requests, before cases can be chosen by them: a forward over each text, and a graph of its own to be compiled. */
function embedding(
  { cases }: Configuration,
  requests: number,
  guidance: Configuration['iteration']['guidance'],
  planned: 'first' | 'further',
): Work {
  if (!usesEmbeddings(cases) || guidance === 'raw') return { seconds: 0 };
  const rates = measuredRates;
  const texts = requests + (planned === 'first' ? rates.contrastPairs : 0);
  return {
    seconds: rates.stageSeconds + (texts * rates.embeddedTokens) / rates.forwardTokensPerSecond,
    storeRequests: 2 * (requestsPerStep + readsPerStep) + 4,
    // The shards of cases and of requests, and the plan asked for once more.
    temporalActions: 3,
  };
}

function training(configuration: Configuration, sequences: number, steps: number, referenced: boolean): Work {
  const { chain, shards } = configuration;
  const rates = measuredRates;
  const tokens = sequences * (rates.rawPromptTokens + chain.maxNewTokens * rates.shareOfLongestChain);
  const seconds =
    rates.stageSeconds +
    tokens / rates.trainedTokensPerSecond +
    (referenced ? tokens / rates.forwardTokensPerSecond : 0);
  const shardCount = steps * Math.ceil(sequences / Math.max(steps, 1) / shards.gradientSequences);
  return {
    trainedTokens: Math.round(tokens),
    seconds,
    // A gradient a shard, adapter and its two moments a step: all as large as the adapter.
    storeBytes: (shardCount + 3 * steps) * adapterBytes(configuration) + tokens * rates.bytesPerToken,
    storeRequests:
      shardCount * (requestsPerStep + 2 + readsPerStep + 4) + steps * (requestsPerStep + 2 + readsPerStep) + 6,
    temporalActions: 1 + shardCount + steps + heartbeats(seconds),
  };
}

function evaluated({ requests, benchmarks }: Configuration['evaluation']): number {
  return total(requests) + benchmarks.reduce((sum, name) => sum + benchmarkSizes[name], 0);
}

/** A forward over the untouched model's answers to harmless requests, which mostly end at the limit. */
function utility({ evaluation, chain }: Configuration): Work {
  const { plain, lookAlike } = evaluation.requests;
  const tokens = (plain + lookAlike) * (measuredRates.rawPromptTokens + chain.maxNewTokens);
  return {
    seconds: tokens / measuredRates.forwardTokensPerSecond,
    storeRequests: requestsPerStep + readsPerStep,
    temporalActions: 1,
  };
}

/** What is trained of the default model: all 135 million weights, or LoRA on projections of its shape: 30 layers, hidden 576, 192 for keys and values, 1536 in the MLP. */
function adapterBytes({ lora, trained }: Configuration): number {
  if (trained === 'all') return 134_515_008 * 4;
  const inPlusOut = {
    q_proj: 1152,
    k_proj: 768,
    v_proj: 768,
    o_proj: 1152,
    gate_proj: 2112,
    up_proj: 2112,
    down_proj: 2112,
  };
  return lora.targets.reduce((sum, target) => sum + inPlusOut[target], 0) * lora.rank * 30 * 4;
}

const total = ({ harmful, plain, lookAlike }: RequestCounts): number => harmful + plain + lookAlike;
