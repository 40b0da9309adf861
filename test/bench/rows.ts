/** The rows of the bench: what each measures, and the target it is put against. docs/bench.md describes them for readers. */
import type { Bench } from './bench.ts';
import type { Measurement, RowDescription, Target } from './figures.ts';
import type { PeerName } from './peers/peers.ts';
import { adapterUpdate, engineStart } from './work/engineStart.ts';
import { generationSpeed, longContext, manyPrefixes, sharedPrompt } from './work/generation.ts';
import { stepMemory, stepSpeed } from './work/grpoStep.ts';
import { paddingShare, shareOfPeak, trainingMemory, trainingSpeed } from './work/training.ts';

export interface BenchRow extends RowDescription {
  /** Absent: measured against nothing, or against ourselves. */
  peer?: PeerName;
  /** A sentence says why it could not be measured. */
  measure(bench: Bench): Promise<Measurement | string>;
}

const atLeast = (value: number, accepted = value): Target => ({ of: 'ratio', comparison: '>=', value, accepted });
const atMost = (value: number): Target => ({ of: 'ours', comparison: '<=', value });

/** Rows with the same peer stand together: a peer is started once. */
export const rows: BenchRow[] = [
  {
    name: 'start',
    about: 'engine start: no process to the first token, weights converted before',
    unit: 's',
    target: atMost(3),
    measure: engineStart,
  },
  {
    name: 'start-adapter',
    about: 'new adapter to the first token',
    unit: 's',
    target: atMost(1),
    measure: adapterUpdate,
  },
  ...[1, 8, 32].map((batch): BenchRow => ({
    name: `generate-${batch}`,
    about: `generation, 64 + 64 tokens, batch ${batch}, float32, against Transformers`,
    unit: 'tokens/s',
    target: atLeast(2.4, 2.2),
    peer: 'transformers',
    measure: (bench) => generationSpeed(bench, { batch }, 'transformers'),
  })),
  {
    name: 'generate-8-llama',
    about: 'generation, 64 + 64 tokens, batch 8, float32, against llama.cpp q8_0',
    unit: 'tokens/s',
    target: atLeast(2),
    peer: 'llama.cpp',
    measure: (bench) => generationSpeed(bench, { batch: 8 }, 'llama.cpp'),
  },
  {
    name: 'generate-8bit-1-llama',
    about: 'generation, 64 + 64 tokens, batch 1, 8-bit weights, against llama.cpp q8_0',
    unit: 'tokens/s',
    target: atLeast(1),
    peer: 'llama.cpp',
    measure: (bench) => generationSpeed(bench, { batch: 1, weights: 'eightBit' }, 'llama.cpp'),
  },
  {
    name: 'generate-long',
    about: 'decoding after 450 tokens of context, batch 8, as a share of that after 64',
    unit: 'tokens/s',
    target: atLeast(0.8, 0.75),
    measure: longContext,
  },
  {
    name: 'shared-prompt',
    about: '8 samples of one request of 400 tokens: speed of computing the prompt, against that for one sample',
    unit: 'tokens/s',
    target: atLeast(0.9),
    measure: sharedPrompt,
  },
  {
    name: 'many-prefixes',
    about: 'decoding 32 rows, two each behind 16 prefixes of 450 tokens, as a share of that of 32 rows behind one',
    unit: 'tokens/s',
    target: atLeast(0.5),
    measure: manyPrefixes,
  },
  ...[192, 512].flatMap((length): BenchRow[] => [
    {
      name: `train-8x${length}`,
      about: `LoRA r16 forward and backward pass, 8 x ${length}, against PEFT`,
      unit: 'tokens/s',
      target: atLeast(1.5, 1.4),
      peer: 'peft',
      measure: (bench) => trainingSpeed(bench, { rows: 8, length }),
    },
    {
      name: `train-8x${length}-peak`,
      about: `the same, as a share of this machine's matrix product peak`,
      unit: 'GFLOPS',
      target: atLeast(0.7),
      peer: 'peft',
      measure: (bench) => shareOfPeak(bench, { rows: 8, length }),
    },
  ]),
  {
    name: 'train-8x512-memory',
    about: 'peak memory of the engine that trains 8 x 512',
    unit: 'GB',
    target: atMost(2.5),
    measure: (bench) => trainingMemory(bench, { rows: 8, length: 512 }),
  },
  {
    name: 'padding',
    about: 'share of padding in the positions computed for sequences of 40 to 600 tokens',
    unit: 'share',
    target: atMost(0.1),
    measure: paddingShare,
  },
  {
    name: 'grpo-step',
    about: 'whole GRPO step, 32 chains of 40 + 96 tokens, all stages through Temporal, against TRL',
    unit: 'steps/min',
    target: atLeast(2),
    peer: 'trl',
    measure: stepSpeed,
  },
  {
    name: 'grpo-step-memory',
    about: "peak memory of that step: the engine's process against TRL's",
    unit: 'GB',
    target: { of: 'ratio', comparison: '<=', value: 1 },
    peer: 'trl',
    measure: stepMemory,
  },
];
