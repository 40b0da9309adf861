/** What a run will do, before it does it: stages with their chains, tokens and time, and what it needs of disk and memory. */
import { benchmarkSizes } from '../alignment/benchmarks/benchmarkNames.ts';
import type { Configuration, RequestCounts } from '../alignment/configuration/schema.ts';

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
}

export interface RunEstimate {
  stages: PlannedStage[];
  seconds: number;
  diskBytes: number;
  memoryBytes: number;
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
  prepareSeconds: 3,
  /** Merging, hashing and copying the weights into the store. */
  exportSeconds: 6,
  reportSeconds: 1,
  /** What orchestration adds to a generation or training stage: publishing, planning, collecting. */
  stageSeconds: 2,
};

const defaultModel = { parameters: 135e6, bytesPerParameter: 4 };

export function estimateRun(configuration: Configuration): RunEstimate {
  const { warmStart, iteration, evaluation, chain } = configuration;
  const evaluate = (stage: string): PlannedStage =>
    planned(stage, 1, generation(configuration, evaluated(evaluation), 'raw'), utility(configuration));
  const stages = [planned('prepare', 1, { seconds: measuredRates.prepareSeconds }), evaluate('evaluate before')];
  if (warmStart.enabled) {
    const chains = total(warmStart.requests) * warmStart.samplesPerRequest;
    const kept = Math.min(
      Math.round(chains * measuredRates.shareKept),
      warmStart.keepPerKind ? total(warmStart.keepPerKind) : chains,
    );
    stages.push(
      planned(
        'warm start',
        1,
        generation(configuration, chains, 'cases'),
        training(chain, kept * warmStart.epochs, false),
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
        generation(configuration, chains, iteration.guidance),
        training(chain, chains, iteration.klWeight > 0),
        generation(configuration, total(evaluation.probe), 'raw'),
      ),
    );
  }
  stages.push(
    evaluate('evaluate after'),
    planned('export', 1, { seconds: measuredRates.exportSeconds }),
    planned('report', 1, { seconds: measuredRates.reportSeconds }),
  );

  const modelBytes = defaultModel.parameters * defaultModel.bytesPerParameter;
  return {
    stages,
    seconds: stages.reduce((sum, stage) => sum + stage.seconds, 0),
    // The model as published, as compiled, and merged with the adapter; adapter and optimizer of each iteration.
    diskBytes: modelBytes * 3 + adapterBytes(configuration) * 3 * (iteration.count + 2),
    // Weights of sampler and trainer, with what preparing their sessions takes, and the activations of one micro-batch.
    memoryBytes: modelBytes * 3.5 + configuration.engine.microBatchTokens * 770e3,
  };
}

type Work = Partial<Omit<PlannedStage, 'stage' | 'times'>> & { seconds: number };

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
  };
}

function generation({ chain }: Configuration, chains: number, guidance: Configuration['iteration']['guidance']): Work {
  if (chains === 0) return { seconds: 0 };
  const rates = measuredRates;
  const share = { raw: 0, mixed: 0.5, cases: 1 }[guidance];
  const guided = chains * share;
  const prefixes = Math.min(guided, rates.categories * rates.prefixesPerCategory);
  const promptTokens =
    (chains - guided) * rates.rawPromptTokens + guided * rates.guidedOwnTokens + prefixes * rates.guidedPromptTokens;
  const length = chain.maxNewTokens * rates.shareOfLongestChain;
  return {
    chains,
    generatedTokens: chains * chain.maxNewTokens,
    seconds:
      rates.stageSeconds +
      promptTokens / rates.promptTokensPerSecond +
      ((chains - guided) * length) / rates.generatedTokensPerSecond +
      (guided * length) / rates.guidedTokensPerSecond,
  };
}

function training({ maxNewTokens }: Configuration['chain'], sequences: number, referenced: boolean): Work {
  const rates = measuredRates;
  const tokens = sequences * (rates.rawPromptTokens + maxNewTokens * rates.shareOfLongestChain);
  return {
    trainedTokens: Math.round(tokens),
    seconds:
      rates.stageSeconds +
      tokens / rates.trainedTokensPerSecond +
      (referenced ? tokens / rates.forwardTokensPerSecond : 0),
  };
}

function evaluated({ requests, benchmarks }: Configuration['evaluation']): number {
  return total(requests) + benchmarks.reduce((sum, name) => sum + benchmarkSizes[name], 0);
}

/** A forward over the untouched model's answers to harmless requests, which mostly end at the limit. */
function utility({ evaluation, chain }: Configuration): Work {
  const { plain, lookAlike } = evaluation.requests;
  const tokens = (plain + lookAlike) * (measuredRates.rawPromptTokens + chain.maxNewTokens);
  return { seconds: tokens / measuredRates.forwardTokensPerSecond };
}

/** LoRA on projections of the default model's shape: 30 layers, hidden 576, 192 for keys and values, 1536 in the MLP. */
function adapterBytes({ lora }: Configuration): number {
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
