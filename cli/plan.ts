/** What a run will do, before it does it: stages with their chains, tokens and time, and what it needs of disk and memory. */
import type { Configuration, RequestCounts } from '../alignment/configuration/schema.ts';

export interface PlannedStage {
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

/** Speeds and sizes of the default model on two processor cores; another model or machine shifts all of them alike. */
const assumed = {
  generatedTokensPerSecond: 250,
  trainedTokensPerSecond: 250,
  /** A forward without a backward, for the reference's log-probabilities. */
  forwardTokensPerSecond: 750,
  rawPromptTokens: 45,
  guidedPromptTokens: 700,
  promptTokensPerSecond: 1500,
  parameters: 135e6,
  bytesPerParameter: 4,
};

export function estimateRun(configuration: Configuration): RunEstimate {
  const { chain, warmStart, iteration, evaluation } = configuration;
  const stages: PlannedStage[] = [];
  const generate = (stage: string, times: number, chainsEach: number, promptTokens: number): PlannedStage => {
    const chains = times * chainsEach;
    const generatedTokens = chains * chain.maxNewTokens;
    const seconds =
      generatedTokens / assumed.generatedTokensPerSecond + (chains * promptTokens) / assumed.promptTokensPerSecond;
    return { stage, times, chains, generatedTokens, trainedTokens: 0, seconds };
  };
  const train = (stage: string, times: number, sequences: number, referenced: boolean): PlannedStage => {
    const trainedTokens = times * sequences * (assumed.rawPromptTokens + chain.maxNewTokens);
    const seconds =
      trainedTokens / assumed.trainedTokensPerSecond +
      (referenced ? trainedTokens / assumed.forwardTokensPerSecond : 0);
    return { stage, times, chains: times * sequences, generatedTokens: 0, trainedTokens, seconds };
  };

  const evaluations = warmStart.enabled && evaluation.afterWarmStart ? 3 : 2;
  stages.push(generate('evaluations', evaluations, total(evaluation.requests), assumed.rawPromptTokens));
  if (warmStart.enabled) {
    const chains = total(warmStart.requests) * warmStart.samplesPerRequest;
    stages.push(generate('warm start: generate', 1, chains, assumed.guidedPromptTokens));
    const kept = warmStart.keepPerKind ? Math.min(chains, total(warmStart.keepPerKind)) : chains;
    stages.push(train('warm start: fine-tune', warmStart.epochs, kept, false));
  }
  if (iteration.count > 0) {
    const chains = total(iteration.requests) * iteration.samplesPerRequest;
    const prompt = iteration.guidance === 'raw' ? assumed.rawPromptTokens : assumed.guidedPromptTokens;
    stages.push(
      generate('iterations: generate', iteration.count, chains, prompt),
      train('iterations: update', iteration.count, chains, iteration.klWeight > 0),
      generate('iterations: probe', iteration.count, total(evaluation.probe), assumed.rawPromptTokens),
    );
  }
  const modelBytes = assumed.parameters * assumed.bytesPerParameter;
  return {
    stages,
    seconds: stages.reduce((sum, stage) => sum + stage.seconds, 0),
    // The model as published, as compiled, and merged with the adapter; adapter and optimizer of each iteration.
    diskBytes: modelBytes * 3 + adapterBytes(configuration) * 3 * (iteration.count + 2),
    // Weights once, and the activations of one micro-batch.
    memoryBytes: modelBytes * 1.6 + configuration.engine.microBatchTokens * 600e3,
  };
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
