/** Models and adapters whose JSON files were changed at random: refused with an EngineError or read, never worse. The seeds make every run the same. */
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readAdapter, tensorNameOf, writeAdapterTensors } from '../../../engine/model/adapter.ts';
import { expectedTensors, openModel } from '../../../engine/model/weights.ts';
import { EngineError } from '../../../engine/policy.ts';
import { loadTokenizer } from '../../../engine/tokenizer/tokenizer.ts';
import { tinyConfig, writeTinyFolder } from '../../badInput/tinyFolder.ts';
import { randomNumbers, type RandomNumbers } from './randomNumbers.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cada-fuzz-json-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** What nobody writes on purpose. */
const strange: Json[] = [
  ...[
    null,
    true,
    false,
    0,
    -1,
    0.5,
    1e300,
    2 ** 31,
    2 ** 53,
    '',
    ' ',
    'constructor',
    '__proto__',
    '../x',
    'a'.repeat(5000),
  ],
  ...[
    [],
    {},
    [null],
    [[[[[]]]]],
    { a: { a: { a: null } } },
    ['a', 'a'],
    [1, 2, 3],
    { __proto__x: 1 },
    '\0',
    '\ud800',
    '(',
  ],
];

/** A copy with up to three of its values replaced, left out, or given twice. */
function changed(json: Json, random: RandomNumbers): Json {
  const copy = structuredClone(json);
  for (let changes = 1 + random(3); changes > 0; changes--) {
    let holder: Json[] | Record<string, Json> | undefined;
    let key: string | number = '';
    let node: Json = copy;
    // Down to a random depth.
    while (typeof node === 'object' && node !== null && (holder === undefined || random(4) > 0)) {
      const keys: (string | number)[] = Array.isArray(node) ? [...node.keys()] : Object.keys(node);
      if (keys.length === 0) break;
      holder = node;
      key = keys[random(keys.length)]!;
      node = (node as Record<string | number, Json>)[key]!;
    }
    if (!holder) continue;
    const target = holder as Record<string | number, Json>;
    if (random(4) === 0) delete target[key];
    else if (Array.isArray(holder) && random(3) === 0) holder.push(structuredClone(node));
    else target[key] = structuredClone(strange[random(strange.length)]!);
  }
  return copy;
}

/** Cuts the text or changes some of its bytes. */
function torn(text: string, random: RandomNumbers): Buffer {
  const bytes = Buffer.from(text);
  if (random(3) === 0) return bytes.subarray(0, random(bytes.length));
  for (let flips = 1 + random(6); flips > 0; flips--) bytes[random(bytes.length)] = random(256);
  return bytes;
}

/** Changes one file again and again and has it read; answers how often it was refused. */
async function survives(path: string, rounds: number, seed: number, read: () => Promise<void>): Promise<number> {
  const whole = await readFile(path, 'utf8');
  await read();
  const random = randomNumbers(seed);
  let refused = 0;
  for (let round = 0; round < rounds; round++) {
    const bytes = random(4) === 0 ? torn(whole, random) : JSON.stringify(changed(JSON.parse(whole) as Json, random));
    await writeFile(path, bytes);
    const before = process.resourceUsage().maxRSS;
    try {
      await read();
    } catch (error) {
      if (!(error instanceof EngineError)) throw new Error(`round ${round}: ${bytes.toString()}`, { cause: error });
      expect(error.kind, error.message).toBe('invalidInput');
      expect(error.message.length).toBeLessThan(1500);
      refused++;
    }
    if (process.resourceUsage().maxRSS - before > 128 * 1024) throw new Error(`round ${round} took over 128 MiB`);
  }
  await writeFile(path, whole);
  return refused;
}

const openWhole = async (path: string): Promise<void> => {
  const model = await openModel(path);
  try {
    for (const name of model.tensors.keys()) await model.readTensor(name);
  } finally {
    await model.close();
  }
};
const useTokenizer = async (path: string): Promise<void> => {
  const tokenizer = await loadTokenizer(path);
  const { tokens } = tokenizer.encodeChat([{ role: 'user', content: 'ab <s> a' }]);
  tokenizer.decode(tokens, { skipSpecial: false });
};

describe('changed at random', () => {
  it('config.json and the shard index', { timeout: 60_000 }, async () => {
    const path = await writeTinyFolder(await mkdtemp(join(folder, 'model-')));
    await rename(join(path, 'model.safetensors'), join(path, 'one.safetensors'));
    const names = [...expectedTensors(tinyConfig).keys()];
    const index = { metadata: {}, weight_map: Object.fromEntries(names.map((name) => [name, 'one.safetensors'])) };
    await writeFile(join(path, 'model.safetensors.index.json'), JSON.stringify(index));
    expect(await survives(join(path, 'config.json'), 600, 1, () => openWhole(path))).toBeGreaterThan(200);
    expect(await survives(join(path, 'model.safetensors.index.json'), 400, 2, () => openWhole(path))).toBeGreaterThan(
      300,
    );
  });

  it('tokenizer.json and tokenizer_config.json', { timeout: 120_000 }, async () => {
    const path = await writeTinyFolder(await mkdtemp(join(folder, 'tokenizer-')));
    await writeFile(
      join(path, 'tokenizer_config.json'),
      JSON.stringify({
        bos_token: '<s>',
        eos_token: { content: '</s>' },
        chat_template: [{ name: 'default', template: 'x' }],
      }),
    );
    expect(await survives(join(path, 'tokenizer.json'), 600, 3, () => useTokenizer(path))).toBeGreaterThan(200);
    expect(await survives(join(path, 'tokenizer_config.json'), 200, 4, () => useTokenizer(path))).toBeGreaterThan(20);
  });

  it('adapter_config.json', { timeout: 60_000 }, async () => {
    const path = join(folder, 'adapter');
    await mkdir(path);
    const module = 'model.layers.0.self_attn.q_proj';
    await writeAdapterTensors(
      path,
      new Map([
        [tensorNameOf(module, 'A'), { shape: [2, 8], data: new Float32Array(16) }],
        [tensorNameOf(module, 'B'), { shape: [8, 2], data: new Float32Array(16) }],
      ]),
    );
    const config = {
      peft_type: 'LORA',
      r: 2,
      lora_alpha: 4,
      rank_pattern: { q_proj: 2 },
      alpha_pattern: {},
      bias: 'none',
    };
    await writeFile(join(path, 'adapter_config.json'), JSON.stringify(config));
    const read = async (): Promise<void> => void (await readAdapter(path, tinyConfig));
    expect(await survives(join(path, 'adapter_config.json'), 600, 5, read)).toBeGreaterThan(200);
  });

  it('chat templates, put together from pieces of real ones and of bad ones', { timeout: 120_000 }, async () => {
    const path = await writeTinyFolder(await mkdtemp(join(folder, 'template-')));
    const random = randomNumbers(6);
    let [refused, taken] = [0, 0];
    for (let round = 0; round < 400; round++) {
      const template = Array.from({ length: 1 + random(8) }, () => pieces[random(pieces.length)]).join('');
      await writeFile(join(path, 'chat_template.jinja'), template);
      try {
        await useTokenizer(path);
        taken++;
      } catch (error) {
        if (!(error instanceof EngineError)) throw new Error(`round ${round}: ${template}`, { cause: error });
        expect(error.message).toMatch(/the chat template refuses the chat|takes more than/);
        refused++;
      }
    }
    expect(taken).toBeGreaterThan(20);
    expect(refused).toBeGreaterThan(100);
  });
});

const pieces = [
  ...[
    '{% for m in messages %}',
    '{% endfor %}',
    "{{ '<s>' + m.content + '</s>' }}",
    '{{ m["role"] | trim }}',
    '{{ bos_token }}',
  ],
  ...[
    '{% if add_generation_prompt %}',
    '{% endif %}',
    '{% set ns = namespace(n=0, t="a", l=[1]) %}',
    '{% set ns.n = ns.n + 1 %}',
  ],
  ...[
    '{% set ns.t = ns.t ~ ns.t %}',
    '{% set ns.l = ns.l + ns.l %}',
    '{% for i in range(99999999) %}',
    '{% for i in range(500) %}',
  ],
  ...[
    '{{ messages[::-1][0].content }}',
    '{{ messages | tojson(indent=2) }}',
    '{{ strftime_now("%d %b %Y") }}',
    '{% raw %}',
    '{#',
    '#}',
  ],
  ...[
    '{{ raise_exception("no") }}',
    '{{ messages.constructor }}',
    '{{ undefined_thing.a.b }}',
    '{% macro f(x) %}',
    '{% endmacro %}',
    '{{ f(1) }}',
  ],
  ...['{{ 1 // 0 }}', '{{ "a" * 999999999 }}', '{{ "x" | indent(99999999) }}', '{{', '}}', '{%', '%}', '\0', '\ud800'],
];
