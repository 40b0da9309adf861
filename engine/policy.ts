/**
 * The verbs of a policy backend: what the pipeline asks of a language model, whoever runs it. The embedded engine (engine/host) implements all of
 * them in a process of its own; a server that only generates may implement `sample` alone.
 *
 * Everything crosses a process border, so requests are plain data: token ids as arrays, large tensors as files.
 */

/** A model on the local disk (a Hugging Face folder or one GGUF file), and optionally a PEFT adapter folder on top of it. */
export interface PolicyWeights {
  /** Folder in Hugging Face layout, or a `.gguf` file. */
  modelPath: string;
  /** Digest of the model artifact: names the engine's compiled files and sessions. */
  modelDigest: string;
  /** PEFT folder (adapter_config.json, adapter_model.safetensors); absent = the base model alone. */
  adapterPath?: string;
}

export type Device = 'cpu' | 'cuda' | 'webgpu' | 'auto';

/** What a configured device came to on a machine. */
export interface DeviceUse {
  device: Device;
  provider: 'cpu' | 'cuda' | 'webgpu';
  /** Why it is this provider, where that is not plain from `device`. */
  note?: string;
}

/** Settings of the engine that can change bits or speed; fixed for the life of an engine process. */
export interface EngineSettings {
  /** Threads of one operator. Part of every step key. */
  threads: number;
  /** Execution provider; `auto` picks the fastest that works and says which. */
  device: Device;
  /** Use the CPU where `device` does not work, and say so, instead of failing. Default false. */
  allowFallback?: boolean;
  /** Most rows decoded together. Never changes bits. */
  decodeBatch: number;
  /** Most (padded) tokens of one forward + backward run. Never changes bits. */
  microBatchTokens: number;
  /** Folder for compiled graphs and converted weights; safe to delete. */
  cachePath: string;
}

/** One prompt and the samples wanted of it. */
export interface SamplePrompt {
  id: string;
  tokens: number[];
  /**
   * Leading tokens that other prompts may share (end of the system message or of the case turns): computed once for all prompts with the same
   * leading tokens. A property of the prompt, never of its batch mates, because prefill boundaries can change low bits.
   */
  prefixLength: number;
  /** One seed a sample; each yields its own stream of uniform numbers. Ignored by greedy decoding (temperature 0). */
  seeds: string[];
}

export interface SamplingOptions {
  /** 0 = greedy. */
  temperature: number;
  maxNewTokens: number;
  /** Token ids that end a sequence; the stop token itself is part of the returned tokens. */
  stopTokens: number[];
  // What follows is off when absent. The order of the processors is that of Transformers; see engine/README.md.
  /** Logits of tokens that prompt or sequence contain already are divided by it if positive, else multiplied; 1 = off. */
  repetitionPenalty?: number;
  /** Stop tokens cannot be drawn before so many tokens. */
  minNewTokens?: number;
  /** Draw among the k most likely tokens (and equals of the last); 0 = off. Not for greedy decoding, like the next two. */
  topK?: number;
  /** Draw among the fewest most likely tokens whose probabilities reach it; 1 = off. */
  topP?: number;
  /** Draw among tokens at least so many times as likely as the most likely one; 0 = off. */
  minP?: number;
  /** Texts that end a sequence: found in the decoded tokens, the token that completes one is part of the returned tokens. */
  stopStrings?: string[];
  /** Model folder or GGUF file whose tokenizer decodes for `stopStrings`. */
  tokenizerPath?: string;
  /**
   * Tokens whose log-probabilities after the prompt are wanted (a classifier's answers). With it, temperature 0, one new token and no processors: nothing
   * is generated, and a prompt whose probabilities are not finite is told by NaN in place of an error.
   */
  firstTokens?: number[];
}

export interface SampleRequest {
  policy: PolicyWeights;
  /**
   * `eightBit`: matrices and the rows they multiply are rounded to 8 bits, which is faster for few rows. Tokens are then drawn from a slightly other
   * distribution than the trainer's; `logProbs` are those of the distribution drawn from. Absent = float32.
   */
  weights?: 'eightBit';
  prompts: SamplePrompt[];
  options: SamplingOptions;
}

export interface SampledSequence {
  promptId: string;
  sampleIndex: number;
  /** Sampled ids, with the stop token if one was drawn. */
  tokens: number[];
  /** log p of each sampled token under the distribution sampled from (after all processors); greedy: temperature 1. */
  logProbs: number[];
  /** log p of each of `firstTokens` after the prompt, float64 log-softmax over the whole vocabulary; NaN where logits are not finite. */
  firstLogProbs?: number[];
  finishReason: 'stop' | 'length';
}

/** One training sequence: prompt and completion ids, and the named per-token streams its objective needs. */
export interface TrainingSequence {
  id: string;
  promptTokens: number[];
  completionTokens: number[];
  /** Weight of every completion token in the loss: mask and normaliser over the whole batch, [completion]. A number stands for all tokens. */
  weight: number | number[];
  /** Advantage of the sequence (policy objectives). */
  advantage?: number;
  /** log-probs under the policy that the importance ratio starts from, [completion]; absent = the current ones with the gradient stopped. */
  oldLogProbs?: number[];
  /** log-probs of the distribution the tokens were drawn from (guided generation), for truncated importance weights, [completion]. */
  behaviourLogProbs?: number[];
}

export type KlEstimator = 'k1' | 'k2' | 'k3';

/** Settings that every policy-gradient objective has. */
interface PolicyGradientSettings {
  /** Weight of the KL term; 0 = no reference model is run. */
  klWeight: number;
  klEstimator: KlEstimator;
  /** Multiplies each token's KL by the importance ratio (TRL's use_bias_correction_kl). Default false. */
  klRatioCorrection?: boolean;
  /** `reward`: the estimate summed over the sequence is taken off the advantage, without gradient; absent = a term of the loss. */
  klPlacement?: 'reward';
  /** Weight of the entropy bonus: taken off the loss of each token. Absent = 0. */
  entropyWeight?: number;
  /** Cap of the truncated importance weight pi_old(raw prompt) / pi_behaviour(guided prompt); absent = weight 1. */
  importanceCap?: number;
  /** Logits are divided by it before the log-softmax: the sampling temperature. */
  temperature: number;
}

export type PolicyGradientObjective =
  | (PolicyGradientSettings & {
      /** Importance ratio of each token (grpo), or one of the sequence: exp of the mean (gspo) or of the sum (rloo) of its log-ratios. */
      name: 'grpo' | 'gspo' | 'rloo';
      /** Ratio is clipped to [1 - clipLow, 1 + clipHigh]. */
      clipLow: number;
      clipHigh: number;
      /** Cap of the ratio where the clip leaves it free (TRL's delta, two-sided clip); absent = none. */
      ratioCap?: number;
    })
  | (PolicyGradientSettings & {
      name: 'cispo';
      /** Cap of the ratio (itself, not 1 + it) that weighs each token's log-probability, without gradient. */
      ratioCap: number;
    });

/** What is minimised: sum over sequences and tokens of weight * tokenLoss. */
export type Objective = { name: 'sft' } | PolicyGradientObjective;

export interface GradientRequest {
  model: PolicyWeights;
  /** PEFT folder of the adapter that is trained. */
  adapterPath: string;
  /** What KL is measured to: a PEFT folder, or 'base' (the model without adapter). Needed when klWeight > 0. */
  reference?: { adapterPath: string } | 'base';
  /**
   * In canonical order; neighbours with the same prompt are computed together (promptGroups). 2^k such groups are an aligned subtree of the step's batch
   * (the last shard may be shorter).
   */
  sequences: TrainingSequence[];
  objective: Objective;
  /** safetensors file to write: one tensor per adapter tensor (same names), the balanced-tree sum over the groups of `sequences`, float32. */
  outputPath: string;
}

export interface SequenceMetrics {
  id: string;
  tokens: number;
  loss: number;
  /** Mean over tokens of the current policy's log p. */
  meanLogProb: number;
  /** Mean over tokens of the k3 estimate to the reference (0 without reference). */
  kl: number;
  /** Mean entropy of the next-token distribution, nats. */
  entropy: number;
  clipFractionLow: number;
  clipFractionHigh: number;
}

export interface GradientResult {
  sequences: SequenceMetrics[];
  /** Positions computed, padding included, and those of them that hold a token: a prompt that samples share is there once. */
  computedTokens: number;
  filledTokens: number;
  /** Tokens of all sequences, each with its prompt. */
  realTokens: number;
}

export interface OptimizerSettings {
  learningRate: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
  /** Global norm to clip to; 0 = never. */
  maxGradNorm: number;
}

export interface UpdateRequest {
  adapterPath: string;
  /** safetensors with `m/<name>`, `v/<name>` and the step in its metadata; absent at the first step (moments are zero). */
  optimizerStatePath?: string;
  /** Gradient files in canonical shard order; summed as a balanced binary tree. */
  gradientPaths: string[];
  optimizer: OptimizerSettings;
  /** PEFT folder to write. */
  outputAdapterPath: string;
  outputOptimizerStatePath: string;
}

export interface UpdateResult {
  gradNorm: number;
  clipped: boolean;
  step: number;
}

export interface LogProbRequest {
  policy: PolicyWeights;
  sequences: { id: string; promptTokens: number[]; completionTokens: number[] }[];
  temperature: number;
}

/** Texts to turn into vectors by the model alone, without adapter. */
export interface EmbedRequest {
  model: PolicyWeights;
  texts: { id: string; tokens: number[] }[];
}

export interface LoraSettings {
  rank: number;
  alpha: number;
  /** Projections: q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj. */
  targets: string[];
  /** alpha / sqrt(rank) instead of alpha / rank. */
  rankStabilized: boolean;
  /**
   * Other ranks and alphas for some modules, as PEFT's rank_pattern and alpha_pattern: by the module's name or the end of it after a dot (`q_proj`,
   * `layers.0.mlp.up_proj`), read as a regular expression; the first key that fits counts.
   */
  rankPattern?: Record<string, number>;
  alphaPattern?: Record<string, number>;
}

/** Progress of a long verb: at least one call a batch or micro-batch. */
export interface EngineProgress {
  phase: 'load' | 'prefill' | 'decode' | 'gradient' | 'logProbs' | 'embed' | 'update' | 'merge';
  done: number;
  total: number;
  /** Tokens processed so far in this verb. */
  tokens: number;
}

export type OnProgress = (progress: EngineProgress) => void;

export interface ModelDescription {
  architecture: string;
  parameters: number;
  layers: number;
  hiddenSize: number;
  vocabularySize: number;
  contextLength: number;
}

/** A policy backend. Verbs run one at a time, in call order. Every verb rejects with an `EngineError`. */
export interface PolicyEngine {
  describe(model: PolicyWeights): Promise<ModelDescription>;
  sample(request: SampleRequest, onProgress?: OnProgress): Promise<SampledSequence[]>;
  /** Teacher-forced log p of each completion token by the trainer's graph, one array a sequence. */
  logProbs(request: LogProbRequest, onProgress?: OnProgress): Promise<number[][]>;
  /** Of each text the mean over its tokens of the last hidden state, float32 [hiddenSize]. */
  embed(request: EmbedRequest, onProgress?: OnProgress): Promise<Float32Array[]>;
  gradients(request: GradientRequest, onProgress?: OnProgress): Promise<GradientResult>;
  update(request: UpdateRequest): Promise<UpdateResult>;
  /**
   * Writes a fresh PEFT folder: A kaiming-uniform(sqrt 5) from the seed, B zero. `lora: 'all'`: the model's own weights, all of which are then trained
   * (small models: a gradient and the two moments are as large as the model). Such a folder stands wherever an adapter's does.
   */
  createAdapter(request: {
    model: PolicyWeights;
    lora: LoraSettings | 'all';
    seed: string;
    outputPath: string;
    baseModelName: string;
  }): Promise<void>;
  /** Writes base + adapter as a Hugging Face folder (model.safetensors float32, config.json, tokenizer.json, tokenizer_config.json). */
  exportMerged(request: { policy: PolicyWeights; outputPath: string }, onProgress?: OnProgress): Promise<void>;
  /** Peak resident memory of the engine's process so far, bytes. */
  peakMemoryBytes(): Promise<number>;
  /** What the configured device came to, once the engine has computed something. */
  deviceUse?(): DeviceUse | undefined;
  close(): Promise<void>;
}

/** Why a verb failed: decides whether the pipeline retries. */
export type EngineErrorKind =
  | 'invalidInput' // malformed model, adapter or request: retrying is useless
  | 'outOfMemory'
  | 'notFinite' // NaN or Inf in loss or gradient
  | 'crashed'; // the engine's process died

export class EngineError extends Error {
  readonly kind: EngineErrorKind;
  constructor(kind: EngineErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'EngineError';
    this.kind = kind;
  }
}
