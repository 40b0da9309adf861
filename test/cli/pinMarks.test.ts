/** Which marks become data of a run, over a store with one finished run made by hand. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { ActivityDependencies } from '../../activities/dependencies.ts';
import { markedChains } from '../../activities/markedChains.ts';
import type { IterationRecord, RunRecord } from '../../activities/types.ts';
import { configurationSchema, type Configuration } from '../../alignment/configuration/schema.ts';
import { markedPairs, type MarkedChains } from '../../alignment/feedback/markedChains.ts';
import { pinMarks } from '../../cli/operate/pinMarks.ts';
import { openStore, type ArtifactRef, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { sha256 } from '../../infra/artifacts/digest.ts';
import { saveMarks } from '../../infra/artifacts/marks.ts';
import { listIterations, loadRun, saveIteration, saveRun } from '../../infra/artifacts/runs.ts';
import { makeChain, makeScored } from '../alignment/makeChain.ts';
import { libraryFiles, makeRequest } from '../alignment/makeLibrary.ts';

const model = 'ab'.repeat(32);
const ids = ['t1', 't2', 'soon'];
let folder: string;
let libraryPath: string;
let store: ArtifactStore;
let told: string[];

const put = (value: unknown, kind: string): Promise<ArtifactRef> => store.putBytes(JSON.stringify(value), kind);
const configured = (changes: Record<string, unknown> = {}): Configuration =>
  configurationSchema.parse({
    name: 'b',
    library: { path: libraryPath },
    warmStart: { marks: { of: 'demo' } },
    ...changes,
  });
const pin = (configuration: Configuration) => pinMarks(configuration, folder, (line) => told.push(line));
const pinned = async (configuration: Configuration): Promise<MarkedChains> => {
  const { chains } = (await pin(configuration)).warmStart.marks!;
  const bytes = await store.getBytes({ uri: '', sha256: chains!, bytes: 0, kind: 'marked-chains' });
  return JSON.parse(new TextDecoder().decode(bytes)) as MarkedChains;
};
const mark = (chain: string, as: string, text: string) =>
  saveMarks(store, 'demo', [{ chain, as, by: 'ann', at: new Date().toISOString(), textSha256: sha256(text) }]);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cada-pin-'));
  store = await openStore(folder);
  // The library of the marked run; the one that is read from the disk has one of its requests among the held-out ones since.
  const lines = (rows: object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  const before = { ...libraryFiles(), 'requests/training.jsonl': lines(ids.map((id) => makeRequest(id))) };
  const now = { ...libraryFiles(), 'requests/heldOut.jsonl': lines([makeRequest('soon')]) };
  libraryPath = join(folder, 'library');
  for (const [path, text] of Object.entries(now)) {
    mkdirSync(dirname(join(libraryPath, path)), { recursive: true });
    writeFileSync(join(libraryPath, path), text);
  }
  const shard = async (rows: object[], kind: string): Promise<ArtifactRef> =>
    put(
      { plan: '', shards: [{ artifact: await store.putBytes(lines(rows), kind), rows: rows.length }] },
      `${kind}-list`,
    );
  const policy = { model: await put({ digest: model, files: [] }, 'model'), adapter: await put('a', 'adapter') };
  const answers = [
    { requestId: 'h1', category: 'privacy', request: 'request h1', text: 'held out', scored: makeScored('h1') },
  ];
  const record: RunRecord = {
    ...{ runId: 'demo', state: 'done', stage: 'done', iteration: 1, iterations: 1, policy },
    configuration: await put(configurationSchema.parse({ name: 'a' }), 'configuration'),
    library: await put(before, 'library'),
    evaluations: { after: { artifact: await put({ name: 'after', answers }, 'evaluation'), figures: {} } },
    ...{ wallSeconds: {}, peakMemoryBytes: {} },
  };
  await saveRun(store, 'demo', record);
  await saveIteration(store, 'demo', 0, 1, {
    ...{ epoch: 0, iteration: 1, parent: null, policy, plan: null, updatePlan: null, evaluation: null },
    chains: await shard(
      ids.map((id, index) => makeChain(id, { text: `text ${id}`, tokens: [index] })),
      'chains',
    ),
    rewards: await shard(
      ids.map((id) => makeScored(id)),
      'rewards',
    ),
    ...{ figures: {}, seconds: {}, peakMemoryBytes: 0 },
  } satisfies IterationRecord);
  await mark('1/t1/0', 'right', 'text t1');
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(() => void (told = []));

test('the same marks are the same data, by run or by file, and another mark is other data', async () => {
  const one = await pin(configured());
  expect(one.warmStart.marks).toEqual({ of: 'demo', chains: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
  expect(await pin(configured())).toEqual(one);
  const file = join(folder, 'marks.jsonl');
  await writeFile(file, JSON.stringify({ run: 'demo', chain: '1/t1/0', as: 'right', by: 'bob' }));
  const ofFile = await pin(configured({ warmStart: { marks: { of: file } } }));
  expect(ofFile.warmStart.marks!.chains).toBe(one.warmStart.marks!.chains);
  await mark('1/t2/0', 'leak', 'text t2');
  expect((await pin(configured())).warmStart.marks!.chains).not.toBe(one.warmStart.marks!.chains);
  // What is settled stays settled, whatever is marked since.
  expect(await pin(one)).toEqual(one);
  expect(await pinned(configured())).toEqual({
    ...{ format: 'cada-marked-chains', model },
    chains: [
      {
        run: 'demo',
        chain: '1/t1/0',
        as: 'right',
        requestId: 't1',
        promptTokens: [1, 2],
        tokens: [0],
        text: 'text t1',
      },
      { run: 'demo', chain: '1/t2/0', as: 'leak', requestId: 't2', promptTokens: [1, 2], tokens: [1], text: 'text t2' },
    ],
  });
});

test('of runs of several libraries the requests are told apart', async () => {
  const { record } = (await loadRun<RunRecord>(store, 'demo'))!;
  const other = {
    ...libraryFiles(),
    'requests/training.jsonl': `${JSON.stringify(makeRequest('t1', 'harmful', 'privacy', 'another'))}\n`,
  };
  await saveRun(store, 'second', { ...record, runId: 'second', library: await put(other, 'library') });
  const { value } = (await listIterations<IterationRecord>(store, 'demo'))[0]!;
  const text = `${JSON.stringify(makeChain('t1', { text: 'text of the second', tokens: [7] }))}\n`;
  const chains = { plan: '', shards: [{ artifact: await store.putBytes(text, 'chains'), rows: 1 }] };
  const scored = `${JSON.stringify(makeScored('t1'))}\n`;
  const rewards = { plan: '', shards: [{ artifact: await store.putBytes(scored, 'rewards'), rows: 1 }] };
  await saveIteration(store, 'second', 0, 1, {
    ...value,
    ...{ chains: await put(chains, 'chains-list'), rewards: await put(rewards, 'rewards-list') },
  });
  const file = join(folder, 'both.jsonl');
  const lines = [
    { run: 'demo', chain: '1/t1/0', as: 'right', by: 'bob' },
    { run: 'second', chain: '1/t1/0', as: 'leak', by: 'bob' },
  ];
  await writeFile(file, lines.map((line) => JSON.stringify(line)).join('\n'));
  const both = (await pinned(configured({ warmStart: { marks: { of: file } } }))).chains;
  expect(both.map(({ run, requestId, request }) => [run, requestId, request])).toEqual([
    ['demo', 't1', sha256('request t1')],
    ['second', 't1', sha256('another')],
  ]);
  expect(markedPairs(both)).toEqual([]);
});

test('what figures are made of, what is withheld and what was written anew is left out, and named', async () => {
  await mark('after/h1/0', 'right', 'held out');
  await mark('1/soon/0', 'right', 'text soon');
  await mark('1/t2/0', 'harmful', 'an earlier text');
  expect((await pinned(configured())).chains.map(({ chain }) => chain)).toEqual(['1/t1/0']);
  expect(told).toEqual([
    'warmStart.marks: 1/t2/0 is left out: the run has another chain of this name since it was marked',
    expect.stringContaining('1/soon/0 is left out: it is evaluated on: request "soon"') as string,
    'warmStart.marks: after/h1/0 is left out: it answers a request that figures are made of',
    expect.stringMatching(/^warmStart\.marks: 1 marked chains of demo, [0-9a-f]{64}$/) as string,
  ]);
});

test('chains of another form, or none that can be used, are refused before any work', async () => {
  await expect(pin(configured({ chain: { analysisHeading: '# Thoughts' } }))).rejects.toThrow(
    'chains of run demo have another form',
  );
  const file = join(folder, 'evaluated.jsonl');
  await writeFile(file, JSON.stringify({ run: 'demo', chain: 'after/h1/0', as: 'right', by: 'bob' }));
  await expect(pin(configured({ warmStart: { marks: { of: file } } }))).rejects.toThrow('can be data of a run');
  await expect(pin(configured({ warmStart: { marks: { of: 'other' } } }))).rejects.toThrow('There is no run "other"');
});

test('a run takes marked chains of its own base model alone, and only settled ones', async () => {
  const { marks } = (await pin(configured())).warmStart;
  const dependencies = { store } as unknown as ActivityDependencies;
  const run = { runId: 'taker', configuration: await put({}, 'configuration'), library: await put({}, 'library') };
  const record = { ...run, state: 'running', stage: 'warm start', evaluations: {} };
  const { etag } = await saveRun(store, 'taker', {
    ...record,
    policy: { model: await put({ digest: model }, 'model') },
  });
  expect((await markedChains(dependencies, run, marks)).map(({ chain }) => chain)).toEqual(['1/t1/0']);
  await expect(markedChains(dependencies, run, { of: 'demo' })).rejects.toThrow('was not settled');
  expect(await markedChains(dependencies, run, undefined)).toEqual([]);
  await saveRun(
    store,
    'taker',
    { ...record, policy: { model: await put({ digest: 'cd'.repeat(32) }, 'model') } },
    etag,
  );
  await expect(markedChains(dependencies, run, marks)).rejects.toThrow('were written by model abababababab');
});
