import { beforeEach, expect, test } from 'vitest';
import type { ArtifactStore } from '../../../infra/artifacts/artifactStore.ts';
import { verifyRun } from '../../../infra/artifacts/verify.ts';
import type { Verification } from '../../../infra/artifacts/verify.ts';
import { computeStep, generationOf, smallRun } from './runWithSteps.ts';
import type { SmallRun } from './runWithSteps.ts';
import { inEachStore } from './storeKinds.ts';

inEachStore('verifying a run', (kind) => {
  let store: ArtifactStore;
  let run: SmallRun;
  beforeEach(async () => {
    store = await kind.fresh();
    run = await smallRun(store, 'demo-1', 'waiting');
  });

  test('counts everything that the run leads to, and nothing of another', async () => {
    const other = await smallRun(store, 'demo-2', 'done');
    await kind.overwrite(store, `objects/${other.adapter.sha256}`, 'rotten');
    const { whole, kinds, damages } = await verifyRun(store, 'demo-1');
    expect(damages).toEqual([]);
    expect(whole).toBe(true);
    expect(Object.fromEntries(kinds.map((each) => [each.kind, each.artifacts]))).toEqual({
      record: 1,
      iteration: 1,
      history: 1,
      step: 3,
      configuration: 1,
      report: 1,
      model: 1,
      'model-file': 1,
      'generation-plan': 1,
      'generation-shard': 1,
      'chain-list': 1,
      chains: 1,
      gradient: 1, // referred to by the step that used it only
      adapter: 1,
    });
    expect(kinds.find((each) => each.kind === 'adapter')?.bytes).toBe('adapter of demo-1'.length);
  });

  test("a rotten shard is found, removed, computed again by its step, and then whole; its size alone doesn't tell", async () => {
    const chains = run.generation.outputs['chains']!;
    await kind.overwrite(store, `objects/${chains.sha256}`, 'x'.repeat(chains.bytes));
    const found = await verifyRun(store, 'demo-1');
    expect(found.whole).toBe(false);
    expect(found.damages).toMatchObject([{ name: chains.sha256, kind: 'chains', fault: 'rotten', recovery: 'step' }]);
    expect(found.damages[0]?.referredBy).toContain(`chain-list ${run.list.sha256.slice(0, 12)}`);
    expect(found.damages[0]?.remedy).toMatch(/generateChains.*--repair.*cada retry/);
    expect(found.removed).toEqual([]);
    const again = () => computeStep(store, generationOf(run.shard), 'chains', '{"chain":"of demo-1"}\n');
    expect((await again()).cached).toBe(true);

    expect((await verifyRun(store, 'demo-1', { repair: true })).removed).toEqual([chains.sha256]);
    expect((await verifyRun(store, 'demo-1')).damages).toMatchObject([{ fault: 'missing', recovery: 'step' }]);
    expect((await again()).cached).toBe(false);
    expect((await verifyRun(store, 'demo-1')).whole).toBe(true);
  });

  test('a shard cut short is computed again without --repair', async () => {
    await kind.overwrite(store, `objects/${run.generation.outputs['chains']!.sha256}`, 'x');
    expect((await verifyRun(store, 'demo-1')).damages).toMatchObject([{ fault: 'rotten' }]);
    await computeStep(store, generationOf(run.shard), 'chains', '{"chain":"of demo-1"}\n');
    expect((await verifyRun(store, 'demo-1')).whole).toBe(true);
  });

  test('what no step made is left for its stage to put again, and sources are told as such', async () => {
    await kind.overwrite(store, `objects/${run.modelFile.sha256}`, 'the weighty');
    await kind.overwrite(store, `objects/${run.list.sha256}`, '{"shards":[]}');
    const { damages, removed } = await verifyRun(store, 'demo-1', { repair: true });
    expect(removed).toEqual([]);
    expect(faults({ damages })).toEqual(['chain-list rotten stage', 'model-file rotten source']);
    await store.putBytes('the weights', 'model-file');
    expect(faults(await verifyRun(store, 'demo-1'))).toEqual(['chain-list rotten stage']);
  });

  test('documents: a record or an iteration is lost for good, a manifest is not', async () => {
    await kind.overwrite(store, 'runs/demo-1/iterations/0-1.json', '{"policy":');
    const forged = { ...run.gradient, inputs: { shard: 'f'.repeat(64) } };
    await kind.overwrite(store, `steps/${run.gradient.key}.json`, JSON.stringify(forged));
    const found = await verifyRun(store, 'demo-1');
    expect(faults(found)).toEqual(['iteration unreadable none', 'step unreadable step']);
    expect(found.damages[0]?.remedy).toContain("can't be computed again");
    expect(found.kinds.find((each) => each.kind === 'iteration')).toMatchObject({ artifacts: 1, damaged: 1 });

    await kind.overwrite(store, 'runs/demo-1/run.json', 'x');
    expect(faults(await verifyRun(store, 'demo-1'))).toContain('record unreadable none');
  });

  test('an adapter and the gradient that it came from come back when all steps are gone through again', async () => {
    const gradient = run.gradient.outputs['gradient']!;
    for (const ref of [gradient, run.adapter])
      await kind.overwrite(store, `objects/${ref.sha256}`, 'x'.repeat(ref.bytes));
    await verifyRun(store, 'demo-1', { repair: true });
    const { generation, gradient: gradientAgain, update } = await smallRun(store, 'demo-1', 'waiting');
    expect([generation, gradientAgain, update].map((step) => (step as { cached?: boolean }).cached)).toEqual([
      true,
      false,
      false,
    ]);
    expect((await verifyRun(store, 'demo-1')).whole).toBe(true);
  });

  test('of a run that is done it says that another has to compute', async () => {
    const done = await smallRun(store, 'demo-3', 'done');
    await kind.overwrite(store, `objects/${done.adapter.sha256}`, 'rotten');
    const { damages } = await verifyRun(store, 'demo-3');
    expect(damages[0]?.remedy).toMatch(/updatePolicy.*cada train --fresh/);
  });
});

const faults = ({ damages }: Pick<Verification, 'damages'>): string[] =>
  damages.map(({ kind, fault, recovery }) => `${kind} ${fault} ${recovery}`).sort();
