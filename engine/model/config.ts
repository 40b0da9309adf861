import type { ArchitectureName } from './architectures/architectures.ts';

/** The shape of a Llama-family decoder, whatever file it came from (config.json or GGUF metadata). */
export interface DecoderConfig {
  architecture: ArchitectureName;
  hiddenSize: number;
  layers: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  intermediateSize: number;
  vocabularySize: number;
  /** Longest position the model was trained for. */
  contextLength: number;
  ropeTheta: number;
  /** Llama-3.1 scaling of the rotary frequencies. */
  ropeScaling?: { factor: number; lowFreqFactor: number; highFreqFactor: number; originalContextLength: number };
  rmsNormEpsilon: number;
  /** The output head is the embedding. */
  tiedEmbeddings: boolean;
  /** Biases on q, k and v (Qwen2). */
  attentionBias: boolean;
  /** RMSNorm of each query and key head (Qwen3). */
  queryKeyNorm: boolean;
  /** Keys further back than this many positions are not seen (Mistral). */
  slidingWindow?: number;
  bosToken?: number;
  eosTokens: number[];
  padToken?: number;
}

/**
 * A model on disk, opened: its shape and a reader of its tensors under Hugging Face names
 * (`model.layers.0.self_attn.q_proj.weight`, Linear weights `[out, in]`), float32, dequantised, with GGUF's q/k permutation undone.
 */
export interface ModelFiles {
  config: DecoderConfig;
  /** Name -> shape. */
  tensors: ReadonlyMap<string, readonly number[]>;
  /** Throws EngineError('invalidInput') naming file and tensor if it is missing or malformed. */
  readTensor(name: string): Promise<Float32Array>;
  close(): Promise<void>;
}
