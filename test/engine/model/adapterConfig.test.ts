import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeAdapterConfig } from '../../../engine/formats/peft.ts';
import { readAdapter, tensorNameOf, writeAdapterTensors } from '../../../engine/model/adapter.ts';
import { freshAdapter } from '../../../engine/model/createAdapter.ts';
import { TINY } from '../train/randomModel.ts';

const LORA = { rank: 2, alpha: 4, targets: ['q_proj'], rankStabilized: false };
const OURS = JSON.parse(new TextDecoder().decode(writeAdapterConfig(LORA, 'org/tiny'))) as Record<string, unknown>;

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'adapter-config-'));
  await writeAdapterTensors(folder, freshAdapter(TINY, LORA, 'seed').tensors);
});
afterAll(() => rmSync(folder, { recursive: true }));

const readWith = (change: object) => {
  writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify({ ...OURS, ...change }));
  return readAdapter(folder, TINY);
};

describe('adapter_config.json', () => {
  it.each<[string, object, RegExp]>([
    ['PiSSA, which changes the base', { init_lora_weights: 'pissa' }, /init_lora_weights: "pissa" changes the base/],
    ['OLoRA, which changes the base', { init_lora_weights: 'olora' }, /init_lora_weights: "olora" changes the base/],
    ['LoftQ, whose base is quantised', { init_lora_weights: 'loftq' }, /init_lora_weights: "loftq" changes the base/],
    [
      'an activated LoRA',
      { alora_invocation_tokens: [5] },
      /alora_invocation_tokens: an adapter that begins at certain/,
    ],
    ['repeated layers', { layer_replication: [[0, 1]] }, /layer_replication: repeating layers is not supported/],
    ['biases', { lora_bias: true }, /lora_bias: biases are not supported/],
    ['DoRA', { use_dora: true }, /use_dora/],
    ['trained embeddings beside it', { modules_to_save: ['embed_tokens'] }, /modules_to_save/],
  ])('refuses %s', async (_name, change, message) => {
    await expect(readWith(change)).rejects.toThrow(message);
  });

  it.each<[string, object]>([
    ['a gaussian start', { init_lora_weights: 'gaussian' }],
    ['no start at all', { init_lora_weights: false }],
    ['fields that only matter for training', { lora_dropout: 0.1, target_modules: 'all-linear', eva_config: {} }],
    [
      'what PEFT writes where a feature is not used',
      { alora_invocation_tokens: null, arrow_config: null, use_bdlora: null },
    ],
  ])('takes %s', async (_name, change) => {
    expect((await readWith(change)).modules).toEqual(freshAdapter(TINY, LORA, 'seed').modules);
  });

  it('refuses matrices on the output matrix, also where it is one of its own', async () => {
    const own = mkdtempSync(join(tmpdir(), 'adapter-head-'));
    const matrix = (...shape: [number, number]) => ({ shape, data: new Float32Array(shape[0] * shape[1]) });
    const head = new Map([
      [tensorNameOf('lm_head', 'A'), matrix(2, TINY.hiddenSize)],
      [tensorNameOf('lm_head', 'B'), matrix(TINY.vocabularySize, 2)],
    ]);
    await writeAdapterTensors(own, new Map([...freshAdapter(TINY, LORA, 'seed').tensors, ...head]));
    writeFileSync(join(own, 'adapter_config.json'), JSON.stringify(OURS));
    await expect(readAdapter(own, { ...TINY, tiedEmbeddings: false })).rejects.toThrow(/changes lm_head, which is not/);
    rmSync(own, { recursive: true });
  });
});
