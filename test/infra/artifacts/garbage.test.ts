import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ArtifactRef, ArtifactStore } from '../../../infra/artifacts/artifactStore.ts';
import { findGarbage, removeGarbage } from '../../../infra/artifacts/garbage.ts';
import type { Garbage } from '../../../infra/artifacts/garbage.ts';
import { announceStudyPlan, announceWork, listOtherWork, saveWork } from '../../../infra/artifacts/otherWork.ts';
import { listRuns, saveHistory, saveRun } from '../../../infra/artifacts/runs.ts';
import { readStep } from '../../../infra/artifacts/steps.ts';
import { saveUse } from '../../../infra/artifacts/use.ts';
import { verifyRun } from '../../../infra/artifacts/verify.ts';
import { storedSpending } from '../../../infra/endpoints/storedSpending.ts';
import { computeStep, generationOf, smallRun } from './runWithSteps.ts';
import { inEachStore, storeKinds } from './storeKinds.ts';
import type { RunningStoreKind } from './storeKinds.ts';

const DAY = 24 * 3600_000;
const inDays = (days: number): Date => new Date(Date.now() + days * DAY);
/** Ten days from now everything that a test puts is older than the lease. */
const later = { olderThanMs: 7 * DAY, now: inDays(10) };

/** As `temporal workflow show` tells a payload. */
function historyThatNames(value: object): object {
  const data = Buffer.from(JSON.stringify(value)).toString('base64');
  return { events: [{ input: { payloads: [{ metadata: {}, data }] } }] };
}

inEachStore('garbage', (kind) => {
  let store: ArtifactStore;
  beforeEach(async () => {
    store = await kind.fresh();
  });

  test('of two runs the kept one stays whole, what only the forgotten one needed goes', async () => {
    const kept = await smallRun(store, 'kept', 'done');
    const gone = await smallRun(store, 'gone', 'stopped');
    const garbage = await findGarbage(store, { ...later, forget: ['gone'] });
    expect(garbage.refusals).toEqual([]);
    expect(digests(garbage)).toEqual(
      expect.arrayContaining([gone.adapter, gone.plan, gone.list, gone.shard].map(({ sha256 }) => sha256)),
    );
    expect(digests(garbage)).not.toContain(gone.model.sha256); // of both
    // The run that ended has no use for its gradient.
    expect(garbage.steps.map(({ key }) => key).sort()).toEqual(
      [kept.gradient, gone.gradient, gone.generation, gone.update].map(({ key }) => key).sort(),
    );
    expect(await count(store.listObjects())).toBe(garbage.objects.length + garbage.kept.objects); // nothing went yet

    const { objects, steps } = await removeGarbage(store, garbage);
    expect([objects, steps]).toEqual([garbage.objects.length, 4]);
    expect(await count(store.listObjects())).toBe(garbage.kept.objects);
    expect(await listRuns(store)).toEqual(['kept']);
    const verified = await verifyRun(store, 'kept');
    expect(verified.damages).toEqual([]);
    expect(verified.kinds.find((each) => each.kind === 'step')?.artifacts).toBe(2);
    expect((await findGarbage(store, later)).objects).toEqual([]);
    // The cost: what went is computed again.
    expect((await computeStep(store, generationOf(gone.shard), 'chains', 'again')).cached).toBe(false);
  });

  test('what studies have come to stays, until they are forgotten', async () => {
    const put = (text: string) => store.putBytes(text, 'suite-result');
    const [finished, begun] = [await put('answers judged'), await put('answers of a unit, no page yet')];
    await store.putDocument('studies/paper-1/none.json', { unit: 'none', result: finished }, 'ifAbsent');
    await store.putDocument('studies/paper-1.json', { page: finished }, 'ifAbsent');
    await store.putDocument('studies/paper-12/none.json', { unit: 'none', result: begun }, 'ifAbsent');
    expect((await findGarbage(store, later)).objects).toEqual([]);
    const garbage = await findGarbage(store, { ...later, forget: ['paper-1'] });
    expect(digests(garbage)).toEqual([finished.sha256]);
    expect([...garbage.documents].sort()).toEqual(['studies/paper-1.json', 'studies/paper-1/none.json']);
    await removeGarbage(store, garbage);
    expect(await store.getDocument('studies/paper-1.json')).toBeUndefined();
    expect(await store.getDocument('studies/paper-12/none.json')).toBeDefined();
  });

  test('a study goes with its histories and what only they name; of one that an older version forgot the histories can be named too', async () => {
    const put = (text: string) => store.putBytes(text, 'suite-result');
    const [result, answers, leftOver] = [await put('result'), await put('only in a history'), await put('left over')];
    await store.putDocument('studies/paper-1/none.json', { unit: 'none', result }, 'ifAbsent');
    await saveHistory(store, 'paper-1', 'paper-1.1', historyThatNames({ answers }), 'other work');
    await saveHistory(store, 'paper-0', 'paper-0.1', historyThatNames({ leftOver }), 'other work');
    const kept = await findGarbage(store, later);
    expect(kept.objects).toEqual([]);
    expect(kept.otherWork).toEqual([
      { id: 'paper-1', kind: 'study' },
      { id: 'paper-0', kind: 'history' },
    ]);
    const garbage = await findGarbage(store, { ...later, forget: ['paper-1', 'paper-0'] });
    expect(digests(garbage).sort()).toEqual([result, answers, leftOver].map(({ sha256 }) => sha256).sort());
    expect([...garbage.documents].sort()).toEqual([
      ...['histories/paper-0/paper-0.1.json', 'histories/paper-1/paper-1.1.json', 'studies/paper-1/none.json'],
    ]);
    await removeGarbage(store, garbage);
    expect(await count(listOtherWork(store))).toBe(0);
  });

  test('what the units of a study are made from stays from its beginning, under each of its plans, until it is forgotten', async () => {
    const put = (value: unknown, kind: string) => store.putBytes(JSON.stringify(value), kind);
    const [questions, library] = [await put([{ id: 'q' }], 'suite-questions'), await put({}, 'library')];
    const planOf = (claim: string) =>
      put({ study: { claim }, questions, units: [{ id: 'waits', evaluation: { library } }] }, 'study-plan');
    const [plan, reworded, stray] = [await planOf('a'), await planOf('b'), await planOf('of nobody')];
    for (const each of [plan, reworded, plan]) await announceStudyPlan(store, 'paper-1', each);
    const garbage = await findGarbage(store, later);
    expect(digests(garbage)).toEqual([stray.sha256]);
    expect(garbage.otherWork).toEqual([{ id: 'paper-1', kind: 'study' }]);

    const forgotten = await findGarbage(store, { ...later, forget: ['paper-1'] });
    expect(digests(forgotten).sort()).toEqual(
      [questions, library, plan, reworded, stray].map(({ sha256 }) => sha256).sort(),
    );
    const documents = [plan, reworded].map(({ sha256 }) => `studyPlans/paper-1/${sha256.slice(0, 16)}.json`);
    expect([...forgotten.documents].sort()).toEqual(documents.sort());
    // What an older version has removed from under a plan hinders nothing: the study's next start puts it again.
    await store.deleteObject(library.sha256, inDays(1));
    expect((await findGarbage(store, later)).refusals).toEqual([]);
    await removeGarbage(store, forgotten);
    expect(await count(listOtherWork(store))).toBe(0);
  });

  test('what an evaluation is made from stays from its beginning, what it has come to too, until it is forgotten', async () => {
    const put = (value: unknown, kind: string) => store.putBytes(JSON.stringify(value), kind);
    const [questions, library] = [await put([{ id: 'q' }], 'suite-questions'), await put({}, 'library')];
    const known = { target: 'model', run: { runId: 'evaluation-1', library }, questions };
    await announceWork(store, 'evaluation', 'evaluation-1', known);
    await storedSpending(store, 'evaluation-1', 'judge', { calls: 5 }).takeCall();
    await saveUse(store, 'evaluation-1', 'gpu-1', { storeRequests: 3, heartbeats: 1 });
    expect((await findGarbage(store, later)).objects).toEqual([]);
    const shard = await put({ items: ['asked'] }, 'generation-shard');
    const step = await computeStep(store, generationOf(shard), 'chains', '{"chain":"answered"}\n');
    const scores = await put([1], 'suite-scores');
    const result = await put({ scores, shards: [step.outputs['chains']] }, 'suite-result');
    await saveWork(store, 'evaluation', 'evaluation-1', { ...known, result });
    await announceWork(store, 'evaluation', 'evaluation-1', known);
    const kept = await findGarbage(store, later);
    expect(kept.otherWork).toEqual([{ id: 'evaluation-1', kind: 'evaluation' }]);
    // The plan that named the shard is not there: it is nobody's.
    expect(digests(kept)).toEqual([shard.sha256]);
    expect(kept.steps).toEqual([]);

    const garbage = await findGarbage(store, { ...later, forget: ['evaluation-1'] });
    expect(digests(garbage).sort()).toEqual(
      [questions, library, shard, step.outputs['chains']!, scores, result].map(({ sha256 }) => sha256).sort(),
    );
    expect(garbage.steps.map(({ key }) => key)).toEqual([step.key]);
    expect(garbage.documents.sort()).toEqual([
      'evaluations/evaluation-1.json',
      'spending/evaluation-1/judge.json',
      'use/evaluation-1/gpu-1.json',
    ]);
    await removeGarbage(store, garbage);
    expect(await count(store.listObjects())).toBe(0);
  });

  test('what evaluations and histories name and an older version has removed hinders nothing; what a study names too does', async () => {
    const gone = { ...(await store.putBytes('[]', 'suite-result')), sha256: 'b'.repeat(64) };
    await saveWork(store, 'evaluation', 'evaluation-2', { result: gone });
    await saveHistory(store, 'paper-2', 'paper-2.1', historyThatNames({ plan: gone }), 'other work');
    const stray = await store.putBytes('of nobody', 'data');
    const garbage = await findGarbage(store, later);
    expect(garbage.refusals).toEqual([]);
    expect(digests(garbage)).toContain(stray.sha256);
    await store.putDocument('studies/paper-2/none.json', { unit: 'none', result: gone }, 'ifAbsent');
    expect((await findGarbage(store, later)).refusals.join()).toMatch(/suite-result b{64} .*can't be followed/);
  });

  test('what a drafting was made from and has come to stays, also what only its history names, until it is forgotten', async () => {
    const put = (value: unknown, kind: string) => store.putBytes(JSON.stringify(value), kind);
    const [library, requests] = [await put({ cases: '' }, 'library'), await put([{ id: 'r' }], 'draft-requests')];
    const shard = await put({ items: ['asked'] }, 'generation-shard');
    const step = await computeStep(store, generationOf(shard), 'chains', '{"chain":"drafted"}\n');
    const plan = await put({ shards: [{ shard, chains: 1 }] }, 'generation-plan');
    const shards = [{ artifact: step.outputs['chains'], rows: 1 }];
    const chains = await put({ plan: plan.sha256, shards }, 'chain-list');
    const drafts = await put({ provenance: { chains: chains.sha256 }, drafts: [] }, 'case-drafts');
    const vectors = await put([0.5], 'vectors');
    await announceWork(store, 'drafting', 'drafts-1', { run: { library }, requests });
    expect(digests(await findGarbage(store, later))).not.toContain(requests.sha256);
    await saveWork(store, 'drafting', 'drafts-1', { run: { library }, requests, drafts });
    await announceWork(store, 'drafting', 'drafts-1', { run: { library }, requests });
    await saveHistory(store, 'drafts-1', 'drafts-1.1', historyThatNames({ vectors }), 'other work');
    const stray = await put('of nobody', 'case-drafts');
    const kept = await findGarbage(store, later);
    expect(digests(kept)).toEqual([stray.sha256]);
    expect(kept.steps).toEqual([]);

    const garbage = await findGarbage(store, { ...later, forget: ['drafts-1'] });
    expect(digests(garbage).sort()).toEqual(
      [stray, library, requests, shard, step.outputs['chains']!, plan, chains, drafts, vectors]
        .map(({ sha256 }) => sha256)
        .sort(),
    );
    expect([...garbage.documents].sort()).toEqual(['draftings/drafts-1.json', 'histories/drafts-1/drafts-1.1.json']);
    await removeGarbage(store, garbage);
    expect(await count(listOtherWork(store))).toBe(0);
  });

  test('a drafting whose document is damaged stops all removal', async () => {
    const drafts = await store.putBytes('[]', 'case-drafts');
    await saveWork(store, 'drafting', 'drafts-2', { drafts: { ...drafts, sha256: 'a'.repeat(64) } });
    expect((await findGarbage(store, later)).refusals.join()).toMatch(/case-drafts a{64} .*can't be followed/);
    expect((await findGarbage(store, { ...later, forget: ['drafts-2'] })).refusals).toEqual([]);
  });

  test('what is younger than the lease stays, with all it leads to', async () => {
    await smallRun(store, 'gone', 'done');
    const garbage = await findGarbage(store, { olderThanMs: 7 * DAY, forget: ['gone'] });
    expect([garbage.objects, garbage.steps]).toEqual([[], []]);
    expect(garbage.recent.objects).toBe(garbage.kept.objects);
  });

  test('keepSteps keeps the work of all finished steps', async () => {
    const gone = await smallRun(store, 'gone', 'done');
    const garbage = await findGarbage(store, { ...later, forget: ['gone'], keepSteps: true });
    expect(garbage.steps).toEqual([]);
    expect(digests(garbage)).toContain(gone.plan.sha256);
    await removeGarbage(store, garbage);
    expect(await readStep(store, gone.gradient.key)).toBeDefined();
  });

  test('a run at work for longer than the lease, or since nobody knows when, lets nothing be removed', async () => {
    await smallRun(store, 'long', 'running');
    const garbage = await findGarbage(store, later);
    expect(garbage.refusals).toEqual([expect.stringMatching(/^run long is running since .*--older-than/)]);
    await expect(removeGarbage(store, garbage)).rejects.toThrow('run long is running');
    expect((await findGarbage(store, { ...later, olderThanMs: 11 * DAY })).refusals).toEqual([]);

    await store.putDocument('runs/long/run.json', { runId: 'long', record: { state: 'waiting' } }, 'replace');
    const unknown = await findGarbage(store, { ...later, olderThanMs: 11 * DAY });
    expect(unknown.refusals).toEqual([expect.stringContaining('when it began is not known')]);
  });

  test('a run at work is not forgotten, one that has not been heard of is', async () => {
    await smallRun(store, 'crashed', 'running');
    expect((await findGarbage(store, { ...later, forget: ['crashed'] })).refusals).toEqual([]);
    const soon = await findGarbage(store, { olderThanMs: 7 * DAY, forget: ['crashed'] });
    expect(soon.refusals).toEqual([expect.stringContaining('stop it before it is forgotten')]);
  });

  test('a list that can not be read hides what it refers to: nothing goes until it is mended', async () => {
    const run = await smallRun(store, 'kept', 'done');
    await kind.overwrite(store, `objects/${run.list.sha256}`, 'rot');
    const garbage = await findGarbage(store, later);
    expect(garbage.refusals).toEqual([expect.stringMatching(/chain-list [0-9a-f]{64} .*cada verify/)]);
  });

  test('a run that begins, and an object that is put again, between finding and removing stay', async () => {
    const gone = await smallRun(store, 'gone', 'done');
    const garbage = await findGarbage(store, { ...later, forget: ['gone'] });
    await saveRun(store, 'new', { state: 'running' });
    await expect(removeGarbage(store, garbage)).rejects.toThrow('run new has begun meanwhile');
    expect(await store.has(gone.adapter)).toBe(true);
    await store.deleteDocument('runs/new/run.json');
    // As if all objects had been put again since.
    const { objects } = await removeGarbage(store, { ...garbage, putBefore: inDays(-1) });
    expect(objects).toBe(0);
    expect(await store.has(gone.adapter)).toBe(true);
  });
});

describe('garbage beside a run at work', () => {
  const folder = storeKinds[0]!;
  let kind: RunningStoreKind;
  beforeAll(async () => {
    kind = await folder.start();
  });
  afterAll(() => kind.stop());

  test('a run that ended within the lease may still be keeping its histories: old steps whose inputs it has stay until then', async () => {
    const store = await kind.fresh();
    // The gradient is an earlier run's, found by this one and named by none of its records.
    const { gradient } = await smallRun(store, 'ended', 'done');
    await ageStep(store, gradient.key);
    await age(store, gradient.outputs['gradient']!.sha256, 30);
    expect((await findGarbage(store, { olderThanMs: 7 * DAY })).steps).toEqual([]);
    expect((await findGarbage(store, later)).steps.map(({ key }) => key)).toEqual([gradient.key]);
  });

  test('keeps what its unrecorded iteration has taken over from earlier runs, and removes the removed run', async () => {
    const store = await kind.fresh();
    const gone = await smallRun(store, 'gone', 'done');
    const shared = await smallRun(store, 'shared', 'failed');
    for await (const { sha256 } of store.listObjects()) await age(store, sha256, 30);
    for (const runId of ['gone', 'shared']) await removeDocuments(store, runId);

    // A run of the configuration of "shared" begins: it puts its inputs and its plan again, and finds the steps done.
    const shard = await store.putBytes(await store.getBytes(shared.shard), 'generation-shard');
    await store.putBytes(await store.getBytes(shared.plan), 'generation-plan');
    await saveRun(store, 'live', { state: 'running', configuration: shard });
    for (const step of [shared.generation, shared.gradient, shared.update, gone.generation])
      await ageStep(store, step.key);
    for (const key of [gone.gradient.key, gone.update.key]) await ageStep(store, key);

    const garbage = await findGarbage(store, { olderThanMs: 7 * DAY });
    expect(garbage.refusals).toEqual([]);
    await removeGarbage(store, garbage);
    for (const step of [shared.generation, shared.gradient, shared.update]) {
      expect(await readStep(store, step.key), step.stage).toBeDefined();
    }
    const gradient = shared.gradient.outputs['gradient'] as ArtifactRef;
    expect([await store.has(gradient), await store.has(shared.plan)]).toEqual([true, true]);
    for (const step of [gone.generation, gone.gradient, gone.update]) {
      expect(await readStep(store, step.key)).toBeUndefined();
      for (const output of Object.values(step.outputs)) expect(await store.has(output)).toBe(false);
    }
    expect([await store.has(gone.plan), await store.has(gone.shard)]).toEqual([false, false]);
  });
});

const digests = ({ objects }: Garbage): string[] => objects.map(({ sha256 }) => sha256);

async function count(items: AsyncIterable<unknown>): Promise<number> {
  let counted = 0;
  for await (const _ of items) counted++;
  return counted;
}

async function age(store: ArtifactStore, sha256: string, days: number): Promise<void> {
  await utimes(join(fileURLToPath(store.uri), 'objects', sha256), inDays(-days), inDays(-days));
}

/** A manifest's age is the moment that it says it was made. */
async function ageStep(store: ArtifactStore, key: string): Promise<void> {
  const { value, etag } = (await store.getDocument<{ producedBy: object }>(`steps/${key}.json`))!;
  const producedBy = { ...value.producedBy, startedAt: inDays(-30).toISOString() };
  await store.putDocument(`steps/${key}.json`, { ...value, producedBy }, { ifMatch: etag });
}

async function removeDocuments(store: ArtifactStore, runId: string): Promise<void> {
  for await (const key of store.listDocuments(`runs/${runId}/`)) await store.deleteDocument(key);
}
