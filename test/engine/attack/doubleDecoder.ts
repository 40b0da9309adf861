/**
 * The forward pass of a tied Llama model in float64, token by token and loop by loop: what the engine's gradients are measured against. Written from
 * transformers' modeling_llama.py, apart from engine/model.
 */
import { readSafetensors } from '../../../engine/formats/safetensors.ts';
import type { DecoderConfig } from '../../../engine/model/config.ts';

type Vector = Float64Array;

export interface DoubleDecoder {
  /** Rows of the embedding matrix. */
  embedding(token: number): Vector;
  /** -log p of the targets, mean: the last `targets.length` predictions of these input vectors. */
  loss(inputs: readonly Vector[], targets: readonly number[]): number;
}

export async function openDoubleDecoder(path: string, config: DecoderConfig): Promise<DoubleDecoder> {
  const file = await readSafetensors(path);
  const tensors = new Map<string, Vector>();
  for (const name of file.tensors.keys()) tensors.set(name, Float64Array.from(await file.readFloat32(name)));
  await file.close();
  const tensor = (name: string): Vector => tensors.get(`${name}.weight`)!;
  const { hiddenSize, heads, kvHeads, headDim, rmsNormEpsilon } = config;

  const times = (name: string, x: Vector): Vector => {
    const matrix = tensor(name);
    const rows = matrix.length / x.length;
    return Float64Array.from({ length: rows }, (_, row) =>
      dot(matrix.subarray(row * x.length, (row + 1) * x.length), x),
    );
  };
  const norm = (name: string, x: Vector): Vector => {
    const scale = 1 / Math.sqrt(dot(x, x) / x.length + rmsNormEpsilon);
    return x.map((value, index) => value * scale * tensor(name)[index]!);
  };
  const turned = (x: Vector, position: number): Vector => {
    const half = headDim / 2;
    return x.map((value, index) => {
      const inHead = index % headDim;
      const angle = position * config.ropeTheta ** (-(2 * (inHead % half)) / headDim);
      const other = inHead < half ? -x[index + half]! : x[index - half]!;
      return value * Math.cos(angle) + other * Math.sin(angle);
    });
  };

  function layer(index: number, xs: readonly Vector[]): Vector[] {
    const name = `model.layers.${index}`;
    const normed = xs.map((x) => norm(`${name}.input_layernorm`, x));
    const queries = normed.map((x, position) => turned(times(`${name}.self_attn.q_proj`, x), position));
    const keys = normed.map((x, position) => turned(times(`${name}.self_attn.k_proj`, x), position));
    const values = normed.map((x) => times(`${name}.self_attn.v_proj`, x));
    return xs.map((x, position) => {
      const attended = new Float64Array(heads * headDim);
      for (let head = 0; head < heads; head++) {
        const group = Math.floor(head / (heads / kvHeads)) * headDim;
        const query = queries[position]!.subarray(head * headDim, (head + 1) * headDim);
        const scores = keys
          .slice(0, position + 1)
          .map((key) => dot(query, key.subarray(group, group + headDim)) / Math.sqrt(headDim));
        const most = Math.max(...scores);
        const weights = scores.map((score) => Math.exp(score - most));
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        weights.forEach((weight, key) => {
          for (let d = 0; d < headDim; d++)
            attended[head * headDim + d]! += (weight / total) * values[key]![group + d]!;
        });
      }
      const after = plus(x, times(`${name}.self_attn.o_proj`, attended));
      const inner = norm(`${name}.post_attention_layernorm`, after);
      const up = times(`${name}.mlp.up_proj`, inner);
      const gated = times(`${name}.mlp.gate_proj`, inner).map((gate, i) => (gate / (1 + Math.exp(-gate))) * up[i]!);
      return plus(after, times(`${name}.mlp.down_proj`, gated));
    });
  }

  const embeddings = tensor('model.embed_tokens');
  return {
    embedding: (token) => embeddings.slice(token * hiddenSize, (token + 1) * hiddenSize),
    loss(inputs, targets) {
      let xs = [...inputs];
      for (let index = 0; index < config.layers; index++) xs = layer(index, xs);
      const losses = targets.map((target, i) => {
        const last = norm('model.norm', xs[xs.length - targets.length + i]!);
        const logits = times('model.embed_tokens', last);
        const most = logits.reduce((a, b) => Math.max(a, b));
        const total = logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0);
        return most + Math.log(total) - logits[target]!;
      });
      return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
    },
  };
}

const dot = (a: Vector, b: Vector): number => a.reduce((sum, value, index) => sum + value * b[index]!, 0);
const plus = (a: Vector, b: Vector): Vector => a.map((value, index) => value + b[index]!);
