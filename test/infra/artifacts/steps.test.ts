import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { ArtifactCorruptError, StoreUnavailableError } from '../../../infra/artifacts/artifactStore.ts';
import type { ArtifactStore } from '../../../infra/artifacts/artifactStore.ts';
import { StepDivergedError, forgetStep, readStep, runStep, stepKey } from '../../../infra/artifacts/steps.ts';
import type { StepRepair, StepResult } from '../../../infra/artifacts/steps.ts';
import { inEachStore } from './storeKinds.ts';

describe('step keys', () => {
  const key = (inputs: unknown, stage = 'train', version = 1) => stepKey({ stage, version, inputs });

  test('are the digest of the canonical definition', () => {
    // SHA-256 of {"inputs":{"lr":0.00001,"seed":"ab"},"stage":"train","version":1}
    expect(key({ seed: 'ab', lr: 1e-5 })).toBe('5f38a75a2c94a0913baf67e14e942b90d24fc9318ab412a5ff0b5b64c155261a');
    expect(key({ lr: 1e-5, seed: 'ab' })).toBe(key({ seed: 'ab', lr: 0.00001 }));
  });

  test('differ with every part', () => {
    const keys = [
      key({ a: 1 }),
      key({ a: 1 }, 'reward'),
      key({ a: 1 }, 'train', 2),
      key({ a: '1' }),
      key({ a: [1] }),
      key({ a: null }),
      key({ b: 1 }),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });

  test('an artifact counts by its digest, wherever it lies', () => {
    const ref = { uri: 'file:///a/objects/x', sha256: 'c'.repeat(64), bytes: 3, kind: 'chains' };
    expect(key({ chains: [ref] })).toBe(key({ chains: [{ ...ref, uri: 's3://b/objects/x' }] }));
    expect(key({ chains: [ref] })).toBe(key({ chains: ['c'.repeat(64)] }));
  });

  test.each([
    ['$.inputs.a.b is undefined', { a: { b: undefined } }],
    ['$.inputs.a[1] is NaN', { a: [0, NaN] }],
    ['$.inputs.a is Infinity', { a: Infinity }],
    ['$.inputs.f is a function', { f: () => 1 }],
    ['$.inputs.d is a Date', { d: new Date(0) }],
    ['$.inputs.t is a Float32Array', { t: new Float32Array(1) }],
    ['$.inputs.m is a Map', { m: new Map() }],
    ['$.inputs.n is a bigint', { n: 1n }],
  ])('refuse an input where %s', (message, inputs) => {
    expect(() => key(inputs)).toThrow(message);
  });
});

inEachStore('steps', (kind) => {
  const definition = { stage: 'generateChains', version: 1, inputs: { seed: 'ab' } };
  const key = stepKey(definition);
  let store: ArtifactStore;
  let spoolRoot: string;
  let repairs: StepRepair[];
  let computed: number;

  const compute =
    (text = 'chains') =>
    async (spool: string): Promise<StepResult> => {
      computed++;
      await writeFile(join(spool, 'chains.jsonl'), text);
      return {
        outputs: {
          chains: { file: join(spool, 'chains.jsonl'), kind: 'chains' },
          plan: { bytes: '[1,2]', kind: 'plan' },
        },
        figures: { tokens: 12 },
      };
    };
  const options = () => ({
    spoolRoot,
    host: 'alpha',
    codeVersion: 'v1',
    onRepair: (r: StepRepair) => repairs.push(r),
  });

  beforeEach(async () => {
    store = await kind.fresh();
    spoolRoot = await mkdtemp(join(tmpdir(), 'cada-steps-'));
    repairs = [];
    computed = 0;
    return async () => {
      expect(await readdir(spoolRoot)).toEqual([]); // no spool is left, whatever happened
      await rm(spoolRoot, { recursive: true, force: true });
    };
  });

  test('compute once, then come from the store', async () => {
    const first = await runStep(store, definition, compute(), options());
    expect(first).toMatchObject({
      cached: false,
      key,
      stage: 'generateChains',
      inputs: { seed: 'ab' },
      figures: { tokens: 12 },
      producedBy: { host: 'alpha', codeVersion: 'v1' },
    });
    expect(Buffer.from(await store.getBytes(first.outputs['chains']!)).toString()).toBe('chains');
    const second = await runStep(store, definition, compute('other'), options());
    expect(second).toEqual({ ...first, cached: true });
    expect(computed).toBe(1);
    expect(await readStep(store, key)).toEqual(expect.objectContaining({ outputs: first.outputs }));
    await forgetStep(store, key);
    expect(await readStep(store, key)).toBeUndefined();
  });

  test('that fail leave no manifest and no spool', async () => {
    const failing = async (spool: string) => {
      await writeFile(join(spool, 'half'), 'x');
      throw new Error('out of memory');
    };
    await expect(runStep(store, definition, failing, options())).rejects.toThrow('out of memory');
    expect(await readStep(store, key)).toBeUndefined();
    expect((await runStep(store, definition, compute(), options())).cached).toBe(false);
  });

  test('that run in many places at once agree on one manifest', async () => {
    const results = await Promise.all(
      ['alpha', 'beta', 'gamma', 'delta'].map((host) => runStep(store, definition, compute(), { ...options(), host })),
    );
    expect(new Set(results.map((each) => each.producedBy.host)).size).toBe(1);
    expect((await readStep(store, key))?.producedBy.host).toBe(results[0]?.producedBy.host);
  });

  test('do not lose what they computed while the store does not answer', async () => {
    let away = 2;
    let computed = 0;
    // The first writes fail; then objects can be put, but not the manifest; then all is well.
    const failing = new Proxy(store, {
      get(target, name) {
        const value = Reflect.get(target, name, target) as unknown;
        if (typeof value !== 'function') return value;
        const call = (...input: unknown[]): unknown => (value as (...all: unknown[]) => unknown).apply(target, input);
        if (name !== 'putBytes' && name !== 'putDocument') return call;
        return (...input: unknown[]) => {
          if (away === (name === 'putBytes' ? 2 : 1)) {
            away -= 1;
            throw new StoreUnavailableError('it does not answer', { transient: true });
          }
          return call(...input);
        };
      },
    });
    const compute = (): Promise<StepResult> => {
      computed += 1;
      return Promise.resolve({ outputs: { chains: { bytes: 'a', kind: 'chains' } } });
    };
    const manifest = await runStep(failing, definition, compute, { spoolRoot });
    expect({ away, computed, cached: manifest.cached }).toEqual({ away: 0, computed: 1, cached: false });
    expect((await readStep(store, key))?.outputs).toEqual(manifest.outputs);
  });

  test.each([
    { transient: true, publishPatienceMs: 100 },
    { transient: false, publishPatienceMs: 60_000 },
  ])('give up on a store that stays away or refuses: $transient', async ({ transient, publishPatienceMs }) => {
    const away = Object.create(store, {
      putBytes: { value: () => Promise.reject(new StoreUnavailableError('not today', { transient })) },
      getDocument: { value: () => Promise.resolve(undefined) },
    }) as ArtifactStore;
    const compute = (): Promise<StepResult> => Promise.resolve({ outputs: { chains: { bytes: 'a', kind: 'chains' } } });
    await expect(runStep(away, definition, compute, { spoolRoot, publishPatienceMs })).rejects.toThrow('not today');
  });

  test('that come out differently name both machines', async () => {
    const slow = runStep(
      store,
      definition,
      async (spool) => {
        await runStep(store, definition, compute('one thing'), { ...options(), host: 'alpha' });
        return compute('another')(spool);
      },
      { ...options(), host: 'beta' },
    );
    const error = await slow.catch((problem: unknown) => problem);
    expect(error).toBeInstanceOf(StepDivergedError);
    expect((error as Error).message).toMatch(/"generateChains".*on alpha .*on beta .*: chains [0-9a-f]{64} \/ /);
    expect((error as Error).message).not.toContain('plan ');
    expect((await readStep(store, key))?.producedBy.host).toBe('alpha');
  });

  test.each([
    ['missing', (ref: string) => store.deleteObject(ref)],
    ['cut short', (ref: string) => kind.overwrite(store, `objects/${ref}`, 'cha')],
  ])('with an output %s are computed again, replaced and reported', async (_what, damage) => {
    const first = await runStep(store, definition, compute(), { ...options(), host: 'alpha' });
    await damage(first.outputs['chains']!.sha256);
    expect(await readStep(store, key)).toBeUndefined();
    const second = await runStep(store, definition, compute(), { ...options(), host: 'beta' });
    expect(second).toMatchObject({ cached: false, producedBy: { host: 'beta' }, outputs: first.outputs });
    expect(repairs).toMatchObject([{ key, stage: 'generateChains', reason: expect.stringContaining('"chains"') }]);
    expect((await runStep(store, definition, compute(), options())).producedBy.host).toBe('beta');
  });

  test.each([
    ['no JSON', '{"key":'],
    ['another document', '{"key":"x"}'],
  ])('whose manifest is %s are computed again and replaced', async (_what, text) => {
    await runStep(store, definition, compute(), options());
    await kind.overwrite(store, `steps/${key}.json`, text);
    expect((await runStep(store, definition, compute(), options())).cached).toBe(false);
    expect(repairs).toHaveLength(1);
    expect((await runStep(store, definition, compute(), options())).cached).toBe(true);
  });

  test('that find an input rotten remove it, so that its own step is computed again', async () => {
    const earlier = await runStep(store, definition, compute(), options());
    const input = earlier.outputs['chains']!;
    await kind.overwrite(store, `objects/${input.sha256}`, 'chainz'); // same size
    const later = { stage: 'train', version: 1, inputs: { chains: input } };
    const train = async () => ({ outputs: { adapter: { bytes: await store.getBytes(input), kind: 'adapter' } } });
    await expect(runStep(store, later, train, options())).rejects.toThrow(ArtifactCorruptError);
    expect((await runStep(store, definition, compute(), options())).cached).toBe(false);
    expect((await runStep(store, later, train, options())).outputs['adapter']?.sha256).toBe(input.sha256);
  });
});
