/**
 * A tiny Llama or Qwen3 model in a Hugging Face folder that writes safety chains: a real model for tests of the whole pipeline, made in milliseconds.
 *
 * Its embedding is one-hot and its head a table of transitions, so without its other layers it would be a Markov chain over whole phrases (heading,
 * analysis, heading, refusal or answer). The layers are small random ones: what it says depends a little on the request, and every LoRA matrix has a
 * gradient. About half of its chains refuse, whatever is asked, so the filters have something to filter and rewards vary.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeSafetensors } from '../../engine/formats/safetensors.ts';
import { uniformsFromSeed } from '../../infra/artifacts/seeds.ts';
import { reasoningTemplate } from './reasoningTemplate.ts';

const specials = ['<|im_start|>', '<|im_end|>'] as const;
const underHeadings = {
  analysisHeading: '### Analysis\n',
  analysis: 'The request was weighed against the codes.',
  responseHeading: '\n\n### Final Response\n',
  refusal: "I'm sorry, but I can't help with that.",
  answer: 'Here are three short steps that will work well.',
};

/** As Qwen3 has them: added tokens that are not special. */
const inReasoningTurn: typeof underHeadings = {
  ...underHeadings,
  analysisHeading: '<think>',
  responseHeading: '</think>',
};

const hiddenSize = 288;
const layers = 2;
const heads = 4;
const kvHeads = 2;
const headDim = 72;
const intermediateSize = 64;

export interface TinyModelOptions {
  seed?: string;
  /** Standard deviation of the random layers; larger = chains depend more on the request. */
  layerScale?: number;
  /** Largest random number added to each weight of the head, so that tokens that begin no phrase differ; absent = none. */
  headNoise?: number;
  /** A Qwen3 model whose chains are a reasoning turn and an answer; absent = a Llama model that writes headings. */
  reasoning?: boolean;
}

/** Writes the model into `folder`. */
export async function writeTinyChainModel(folder: string, options: TinyModelOptions = {}): Promise<void> {
  const { seed = 'tiny', layerScale = 0.02, headNoise = 0, reasoning = false } = options;
  const phrases = reasoning ? inReasoningTurn : underHeadings;
  await mkdir(folder, { recursive: true });
  const bytes = byteTokens();
  const added = [...specials, ...Object.values(phrases)];
  const vocabulary = bytes.length + added.length;
  const idOf = new Map<string, number>([...bytes, ...added].map((token, id) => [token, id]));

  const random = uniformsFromSeed(seed);
  const weights = (shape: number[], scale = layerScale): { shape: number[]; data: Float32Array } => ({
    shape,
    data: Float32Array.from(
      { length: shape.reduce((a, b) => a * b, 1) },
      () => (random() * 2 - 1) * scale * Math.sqrt(3),
    ),
  });
  const ones = (size = hiddenSize): { shape: number[]; data: Float32Array } => ({
    shape: [size],
    data: new Float32Array(size).fill(1),
  });
  const tensors: Record<string, { shape: number[]; data: Float32Array }> = {
    'model.embed_tokens.weight': oneHot(vocabulary),
    'model.norm.weight': ones(),
    'lm_head.weight': transitions(vocabulary, idOf, phrases),
  };
  for (let layer = 0; layer < layers; layer++) {
    const prefix = `model.layers.${layer}`;
    tensors[`${prefix}.input_layernorm.weight`] = ones();
    tensors[`${prefix}.post_attention_layernorm.weight`] = ones();
    tensors[`${prefix}.self_attn.q_proj.weight`] = weights([heads * headDim, hiddenSize]);
    tensors[`${prefix}.self_attn.k_proj.weight`] = weights([kvHeads * headDim, hiddenSize]);
    tensors[`${prefix}.self_attn.v_proj.weight`] = weights([kvHeads * headDim, hiddenSize]);
    tensors[`${prefix}.self_attn.o_proj.weight`] = weights([hiddenSize, heads * headDim]);
    if (reasoning) for (const name of ['q', 'k']) tensors[`${prefix}.self_attn.${name}_norm.weight`] = ones(headDim);
    tensors[`${prefix}.mlp.gate_proj.weight`] = weights([intermediateSize, hiddenSize]);
    tensors[`${prefix}.mlp.up_proj.weight`] = weights([intermediateSize, hiddenSize]);
    tensors[`${prefix}.mlp.down_proj.weight`] = weights([hiddenSize, intermediateSize]);
  }
  const noise = uniformsFromSeed(`${seed}/head`);
  if (headNoise > 0)
    tensors['lm_head.weight'] = {
      ...tensors['lm_head.weight']!,
      data: tensors['lm_head.weight']!.data.map((weight) => weight + (noise() * 2 - 1) * headNoise),
    };
  await writeSafetensors(
    join(folder, 'model.safetensors'),
    Object.entries(tensors).map(([name, tensor]) => ({ name, dtype: 'F32' as const, ...tensor })),
    { format: 'pt' },
  );
  const end = idOf.get('<|im_end|>')!;
  await writeJson(folder, 'config.json', {
    architectures: [reasoning ? 'Qwen3ForCausalLM' : 'LlamaForCausalLM'],
    model_type: reasoning ? 'qwen3' : 'llama',
    hidden_size: hiddenSize,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headDim,
    intermediate_size: intermediateSize,
    vocab_size: vocabulary,
    max_position_embeddings: 8192,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    hidden_act: 'silu',
    tie_word_embeddings: false,
    bos_token_id: idOf.get('<|im_start|>'),
    eos_token_id: end,
    pad_token_id: end,
    torch_dtype: 'float32',
  });
  await writeJson(folder, 'tokenizer.json', tokenizerJson(bytes, added));
  await writeJson(folder, 'tokenizer_config.json', {
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: '<|im_start|>',
    eos_token: '<|im_end|>',
    pad_token: '<|im_end|>',
    chat_template: reasoning
      ? reasoningTemplate
      : "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}" +
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
  });
}

/** Row i is sqrt(hidden)-normalised by RMSNorm to sqrt(hidden) e_i. */
function oneHot(vocabulary: number): { shape: number[]; data: Float32Array } {
  const data = new Float32Array(vocabulary * hiddenSize);
  for (let token = 0; token < vocabulary; token++) data[token * hiddenSize + token] = 1;
  return { shape: [vocabulary, hiddenSize], data };
}

/** Head whose logit of `next` after `token` is the log of the wanted probability. */
function transitions(
  vocabulary: number,
  idOf: ReadonlyMap<string, number>,
  phrases: typeof underHeadings,
): { shape: number[]; data: Float32Array } {
  const { analysisHeading, analysis, responseHeading, refusal, answer } = phrases;
  const table: [string, [string, number][]][] = [
    [
      'Ċ',
      [
        [analysisHeading, 0.94],
        [answer, 0.05],
      ],
    ],
    [analysisHeading, [[analysis, 0.98]]],
    [
      analysis,
      [
        [responseHeading, 0.97],
        [refusal, 0.02],
      ],
    ],
    [
      responseHeading,
      [
        [refusal, 0.5],
        [answer, 0.49],
      ],
    ],
    [refusal, [['<|im_end|>', 0.98]]],
    [answer, [['<|im_end|>', 0.98]]],
  ];
  const floor = Math.log(1e-5);
  const data = new Float32Array(vocabulary * hiddenSize);
  const set = (next: string, token: string, probability: number): void => {
    data[idOf.get(next)! * hiddenSize + idOf.get(token)!] = (Math.log(probability) - floor) / Math.sqrt(hiddenSize);
  };
  const known = new Set(table.map(([token]) => token));
  for (const token of idOf.keys()) if (!known.has(token)) set('<|im_end|>', token, 0.98);
  for (const [token, nexts] of table) for (const [next, probability] of nexts) set(next, token, probability);
  return { shape: [vocabulary, hiddenSize], data };
}

function tokenizerJson(bytes: string[], added: string[]): object {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added.map((content, index) => ({
      id: bytes.length + index,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: index < specials.length,
    })),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(bytes.map((token, id) => [token, id])),
      merges: [],
    },
  };
}

/** GPT-2's printable stand-ins for the 256 bytes. */
function byteTokens(): string[] {
  const printable = (byte: number): boolean =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
}

async function writeJson(folder: string, name: string, value: object): Promise<void> {
  await writeFile(join(folder, name), JSON.stringify(value, null, 2));
}
