/** Generation: how fast our engine and the peers sample. */
import type { SamplePrompt, SampleRequest } from '../../../engine/policy.ts';
import type { Bench } from '../bench.ts';
import type { Measurement } from '../figures.ts';
import type { PeerName } from '../peers/peers.ts';
import { pseudoRandom, randomTokens } from '../randomTokens.ts';

type Weights = NonNullable<SampleRequest['weights']>;

const promptTokens = 64;
const newTokens = 64;
let requests = 0;

/**
 * Tokens a second, prompts included, of `batch` prompts of 64 random tokens with 64 new ones each.
 * @param weights absent = float32
 */
export async function generationSpeed(
  bench: Bench,
  { batch, weights }: { batch: number; weights?: Weights },
  peerName: PeerName,
): Promise<Measurement> {
  const peer = await bench.peer(peerName);
  const ask = { batch, prompt: promptTokens, new: newTokens };
  const ours = async () => {
    const { seconds, tokens } = await sample(bench, distinctPrompts(bench, batch, promptTokens), newTokens, weights);
    return tokens / seconds;
  };
  const theirs =
    peer &&
    (async () => {
      const { seconds, tokens } = await peer.ask<{ seconds: number; tokens: number }>(ask);
      return tokens / seconds;
    });
  return bench.inTurn(ours, theirs);
}

/** Tokens a second of decoding alone, 8 rows: after prompts of 450 tokens, and of 64 as the peer. */
export function longContext(bench: Bench): Promise<Measurement> {
  const decodeSpeed = (length: number) => async () =>
    (await sample(bench, distinctPrompts(bench, 8, length), newTokens)).decodeSpeed;
  return bench.inTurn(decodeSpeed(450), decodeSpeed(promptTokens));
}

/**
 * Prompt tokens a second until the first tokens are drawn: 8 samples of one request of 400 tokens, counted as 400; the peer: one sample. Paying the
 * prompt once for each sample would give an eighth.
 */
export function sharedPrompt(bench: Bench): Promise<Measurement> {
  const length = 400;
  const speed = (samples: number) => async () => {
    const [prompt] = distinctPrompts(bench, 1, length) as [SamplePrompt];
    const seeds = Array.from({ length: samples }, (_, sample) => `${prompt.seeds[0]}/${sample}`);
    return length / (await sample(bench, [{ ...prompt, seeds }], 2)).promptSeconds;
  };
  return bench.inTurn(speed(8), speed(1));
}

/** Tokens a second of decoding alone, 32 rows: two each behind 16 prefixes of 450 tokens, as where each request has cases of its own; the peer: all behind one. */
export function manyPrefixes(bench: Bench): Promise<Measurement> {
  const decodeSpeed = (prefixes: number) => async () => {
    const prompts = distinctPrompts(bench, prefixes, 450).flatMap(({ tokens, seeds: [seed] }) =>
      distinctPrompts(bench, 32 / prefixes, 24).map((prompt, row) => ({
        ...prompt,
        id: `${seed}/${row}`,
        tokens: [...tokens, ...prompt.tokens],
        prefixLength: tokens.length,
      })),
    );
    return (await sample(bench, prompts, newTokens)).decodeSpeed;
  };
  return bench.inTurn(decodeSpeed(16), decodeSpeed(1));
}

interface Sampled {
  seconds: number;
  tokens: number;
  /** Until the last prompt was computed. */
  promptSeconds: number;
  /** Tokens a second from there until the first row ends: while the batch is full. */
  decodeSpeed: number;
}

async function sample(bench: Bench, prompts: SamplePrompt[], length: number, weights?: Weights): Promise<Sampled> {
  const started = performance.now();
  let prefilled = { at: started, tokens: 0 };
  let full = prefilled;
  const sequences = await bench.engine.sample(
    {
      policy: bench.model.weights,
      ...(weights ? { weights } : {}),
      prompts,
      options: { temperature: 1, maxNewTokens: length, stopTokens: [] },
    },
    ({ phase, done, tokens }) => {
      const now = { at: performance.now(), tokens };
      if (phase === 'prefill') prefilled = now;
      if (phase === 'decode' && done === 0) full = now;
    },
  );
  return {
    seconds: (performance.now() - started) / 1000,
    tokens: sequences.reduce((sum, sequence) => sum + sequence.tokens.length, 0),
    promptSeconds: (prefilled.at - started) / 1000,
    decodeSpeed: (full.tokens - prefilled.tokens) / ((full.at - prefilled.at) / 1000),
  };
}

/** Prompts that share nothing and have not been seen before: nothing of them is cached. */
function distinctPrompts({ model }: Bench, count: number, length: number): SamplePrompt[] {
  const random = pseudoRandom(++requests);
  return Array.from({ length: count }, (_, row) => ({
    id: `${row}`,
    tokens: randomTokens(length, model.config.vocabularySize, random),
    prefixLength: 0,
    seeds: [`${requests}/${row}`],
  }));
}
