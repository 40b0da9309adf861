/** Cases chosen by nearness to the request: whole runs of a tiny real model by the real engine, and inference arms. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readJson } from '../../activities/inputs.ts';
import type { GenerationItem, GenerationPlan, GenerationShard } from '../../activities/plans.ts';
import type { IterationRecord } from '../../activities/types.ts';
import { sampleCases } from '../../alignment/cases/sampleCases.ts';
import { comparedTexts } from '../../alignment/cases/similarity.ts';
import { parseLibrary } from '../../alignment/library/parseLibrary.ts';
import { readLibraryFiles } from '../../cli/operate/libraryFiles.ts';
import { Embedder } from '../../engine/embeddings/embedder.ts';
import { loadTokenizer } from '../../engine/tokenizer/tokenizer.ts';
import { listIterations } from '../../infra/artifacts/runs.ts';
import { createInstallation, tinyConfiguration, type TestInstallation } from './cluster.ts';

let installation: TestInstallation;
beforeAll(async () => void (installation = await createInstallation()));
afterAll(() => installation?.remove());

async function guidedItems({ plan }: IterationRecord): Promise<GenerationItem[]> {
  const { shards } = await readJson<GenerationPlan>(installation.store, plan!);
  const read = ({ shard }: (typeof shards)[number]) => readJson<GenerationShard>(installation.store, shard);
  return (await Promise.all(shards.map(read)))
    .flatMap(({ items }) => items)
    .filter(({ guidance }) => guidance === 'cases');
}

const settings = (by: 'bm25' | 'embeddings') => ({
  ...{ count: 4, sampling: 'similarity' as const, similarity: { by }, order: 'nearestLast' as const },
});
const changes = (by: 'bm25' | 'embeddings') => ({
  cases: settings(by),
  warmStart: { ...installation.configuration.warmStart, samplesPerRequest: 1 },
  iteration: { ...installation.configuration.iteration, count: 1, guidance: 'mixed' },
});

/** By an engine of this process. */
async function vectorsOf(texts: string[]): Promise<Map<string, Float32Array>> {
  const model = { modelPath: installation.configuration.model.source, modelDigest: 'tiny' };
  const tokenizer = await loadTokenizer(model.modelPath);
  const embedder = new Embedder({
    ...{ threads: 1, device: 'cpu', decodeBatch: 1, microBatchTokens: 500 },
    cachePath: join(installation.folder, 'own'),
  });
  const encoded = texts.map((id) => ({ id, tokens: tokenizer.encode(id, { allowSpecial: false }) }));
  const vectors = await embedder.embed({ model, texts: encoded });
  await embedder.release();
  return new Map(texts.map((text, index) => [text, vectors[index]!]));
}

describe.each(['bm25', 'embeddings'] as const)('sampling by %s', (by) => {
  test(
    'every guided prompt of warm start and iteration shows the nearest pairs, made once, also by another run',
    { timeout: 600_000 },
    async () => {
      const configuration = tinyConfiguration(installation.configuration.model.source, changes(by));
      const { outcome } = await installation.train(by, { configuration });
      expect(outcome).toMatchObject({ state: 'done' });
      const listed = await listIterations<IterationRecord>(installation.store, by);
      const library = parseLibrary(await readLibraryFiles(undefined));
      const requests = new Map(library.requests.training.map((one) => [one.id, one]));
      const [warm, iteration] = await Promise.all(listed.map(({ value }) => guidedItems(value)));
      expect(warm).toHaveLength(20);
      expect(iteration).toHaveLength(6);
      const items = [...warm!, ...iteration!];
      const asked = items.map(({ requestId }) => requests.get(requestId)!);
      const vectors =
        by === 'embeddings'
          ? await vectorsOf([...new Set([...comparedTexts(library.cases), ...asked.map(({ request }) => request)])])
          : undefined;
      for (const [index, { caseIds, messages }] of items.entries()) {
        // Ties aside, which are rare, the seed has no say.
        const nearest = sampleCases(library, asked[index]!, settings(by), 'any', vectors);
        expect(caseIds).toEqual(nearest.map(({ id }) => id));
        const turns = messages.filter(({ role }) => role === 'user').map(({ content }) => content);
        expect(turns).toEqual([...nearest.map(({ request }) => request), asked[index]!.request]);
      }
      expect(new Set(items.map(({ caseIds }) => caseIds.join())).size).toBeGreaterThan(5);

      const computed = async (run: string) =>
        (await installation.ledger(run)).filter(({ stage, msg }) => stage === 'embedTexts' && msg === 'computes');
      // Cases, requests of the warm start, requests of the iteration.
      expect(await computed(by)).toHaveLength(by === 'embeddings' ? 3 : 0);
      const again = `${by}-again`;
      await installation.train(again, { configuration: { ...configuration, name: 'again' } });
      expect(await computed(again)).toEqual([]);
      const adapters = await Promise.all(
        [by, again].map(async (run) => (await installation.record(run)).policy!.adapter),
      );
      expect(adapters[1]!.sha256).toBe(adapters[0]!.sha256);
    },
  );
});
