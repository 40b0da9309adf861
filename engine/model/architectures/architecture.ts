import type { EngineError } from '../../policy.ts';
import type { DecoderConfig } from '../config.ts';

type Json = Record<string, unknown>;
export type Reject = (what: string) => EngineError;

/** In what a model family differs from Llama: which features its decoder has, and how its files say so. */
export interface Architecture<Name extends string = string> {
  /** `model_type` of config.json, `general.architecture` of GGUF. */
  name: Name;
  /** Transformers' class. */
  className: string;
  /** Biases on q, k and v. */
  attentionBias: boolean;
  /** RMSNorm of each query and key head. */
  queryKeyNorm: boolean;
  /** What Transformers takes where config.json lacks the key; by default a key-value head for each head, and hidden size / heads. */
  absent?: { keyValueHeads?: number; headDim?: number };
  /** The sliding window of a config.json; undefined = none. Throws what `reject` returns where it is not supported. */
  slidingWindow(json: Json, reject: Reject): number | undefined;
  /** Keys of config.json that not every architecture has, by what they stand beside. */
  configKeys(config: DecoderConfig): { attention?: Json; feedForward?: Json; window?: Json };
  /** Absent: GGUF files do not know it by its name. `alternatingRows`: llama.cpp has reordered the rows of q and k. */
  gguf?: { alternatingRows: boolean };
}
