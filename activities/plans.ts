/** The JSON artifacts that stages hand to each other. */
import type { ReasoningTurn } from '../alignment/chains/reasoningTurn.ts';
import type { ChatMessage } from '../alignment/prompts/guidedPrompt.ts';
import type { Objective, OptimizerSettings, SamplingOptions, TrainingSequence } from '../engine/policy.ts';
import type { ArtifactRef, Figures, GenerationPurpose } from './types.ts';

/** One request of a generation plan with the prompts of its samples. */
export interface GenerationItem {
  requestId: string;
  /** The request itself, as a user would type it. */
  rawMessages: ChatMessage[];
  guidance: 'raw' | 'cases';
  caseIds: string[];
  /** What the chains are sampled from; equal to rawMessages where guidance is raw. */
  messages: ChatMessage[];
  /** Leading messages shared with other requests. */
  sharedMessages: number;
  /** Characters of the message behind those that other requests open with too (sharedOpenings.ts). Absent = none. */
  opening?: number;
  /** Index of the first sample: samples of one request may be split between guided and raw items. */
  firstSample: number;
  seeds: string[];
  /** What the policy's turn is made to begin with: it goes on from there. Absent = from the prompt. */
  begun?: string;
  /** A chain that nobody samples: this text, as the policy would have ended it. `seeds` is empty. */
  written?: string;
  /** Of a text that a model has written: whether its limit has cut it. Absent = the text is ours, and whole. */
  cut?: boolean;
}

/** What a shard of generation works on; its digest is part of the shard's step key. */
export interface GenerationShard {
  sampling: Omit<SamplingOptions, 'stopTokens'>;
  /** Absent = float32. */
  weights?: 'eightBit';
  /** Absent = the chat template as it is. */
  reasoning?: ReasoningTurn;
  items: GenerationItem[];
}

export interface GenerationPlan {
  purpose: GenerationPurpose;
  /** What the written chains came from: the plan of their prompts, or of the last questions, and the state of the deliberation. */
  writtenFrom?: { plan: ArtifactRef; state?: ArtifactRef };
  shards: { shard: ArtifactRef; requests: number; chains: number }[];
}

/** Chains or rewards of all shards, in plan order: JSON Lines artifacts. */
export interface ShardList {
  plan: string;
  shards: { artifact: ArtifactRef; rows: number }[];
}

/** One gradient shard: its digest is part of the step key. */
export interface GradientShard {
  objective: Objective;
  sequences: TrainingSequence[];
}

export interface OptimisationPlan {
  kind: 'warmStart' | 'iteration';
  steps: { shards: ArtifactRef[]; optimizer: OptimizerSettings }[];
  figures: Figures;
}

/** A published model: its files by digest. */
export interface ModelManifest {
  name: string;
  /** Hub id written into exports (`base_model_name_or_path`); never a local path. */
  baseModelName: string;
  origin: string;
  notes: string[];
  /** Path, below the folder of the files, of what the engine opens: '.' for a Hugging Face folder, a file name for GGUF. */
  entry: string;
  /** Digest of the canonical list of files: names the model. */
  digest: string;
  files: { path: string; artifact: ArtifactRef }[];
}

/** A folder as an artifact: paths and files. */
export interface FolderManifest {
  files: { path: string; artifact: ArtifactRef }[];
}
