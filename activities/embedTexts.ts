/** Vectors of requests and cases, by the untouched policy: what sampling by embeddings compares (docs/cases.md). */
import { comparedTexts, type TextVectors } from '../alignment/cases/similarity.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import type { Case } from '../alignment/library/library.ts';
import { loadTokenizer } from '../engine/tokenizer/tokenizer.ts';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import { readStep, stepKey } from '../infra/artifacts/steps.ts';
import type { GpuDependencies } from './dependencies.ts';
import { reportOf } from './generateChains.ts';
import { engineSettings, localPolicy, policyInputs, readConfiguration, readJson } from './inputs.ts';
import type { ModelManifest } from './plans.ts';
import { measuredWithinMemory, runStage, withEngine, type Stage } from './stage.ts';
import type { ArtifactRef, RunContext, ShardedPlan, ShardReport, UnembeddedTexts } from './types.ts';
import { stageVersions } from './versions.ts';

/** Shards of texts: JSON lists, of which each is one step. */
interface EmbeddingPlan {
  shards: ArtifactRef[];
}

/** Part of a step's key: the cases of a library stay together, whatever requests they are compared with. */
const textsPerShard = 64;

export interface EmbeddingInput {
  plan: ArtifactRef;
  shard: number;
  model: ArtifactRef;
}

/** The vectors of one shard: float32, little-endian, [texts, hiddenSize]. */
export async function embedTexts(
  dependencies: GpuDependencies,
  run: RunContext,
  input: EmbeddingInput,
): Promise<ShardReport> {
  const { store } = dependencies;
  const configuration = await readConfiguration(store, run);
  const { shards } = await readJson<EmbeddingPlan>(store, input.plan);
  const shard = shards[input.shard]!;
  const model = await readJson<ModelManifest>(store, input.model);
  const stage = embeddingStage(shard, model, input.model, configuration);
  const manifest = await runStage(dependencies, stage, async () => {
    const texts = await readJson<string[]>(store, shard);
    const policy = await localPolicy(dependencies, configuration, { model: input.model });
    const tokenizer = await loadTokenizer(policy.modelPath);
    const encoded = texts.map((text, index) => ({
      id: String(index),
      tokens: tokenizer.encode(text, { allowSpecial: false }),
    }));
    const settings = engineSettings(dependencies, configuration);
    const { value: vectors, figures } = await measuredWithinMemory(dependencies, settings, (engine) =>
      withEngine(engine, (onProgress) => engine.embed({ model: policy, texts: encoded }, onProgress)),
    );
    return {
      outputs: { vectors: { bytes: Buffer.concat(vectors.map(bytesOf)), kind: 'text-vectors' } },
      figures: {
        texts: texts.length,
        tokens: encoded.reduce((sum, { tokens }) => sum + tokens.length, 0),
        ...figures,
      },
    };
  });
  return reportOf(manifest);
}

function embeddingStage(
  texts: ArtifactRef,
  model: ModelManifest,
  modelRef: ArtifactRef,
  configuration: Configuration,
): Stage {
  return {
    stage: 'embedTexts',
    version: stageVersions.embedTexts,
    inputs: { ...policyInputs(configuration, model, { model: modelRef }), texts: texts.sha256 },
  };
}

/**
 * The vectors of the requests and of what they are compared with, where all are in the store; else what is still to be embedded. The cases are shards of
 * their own: they are embedded once, whatever they are compared with.
 */
export async function vectorsFor(
  store: ArtifactStore,
  configuration: Configuration,
  cases: readonly Case[],
  requests: readonly string[],
  modelRef: ArtifactRef | undefined,
): Promise<{ vectors: TextVectors } | { unembedded: UnembeddedTexts }> {
  if (requests.length === 0) return { vectors: new Map() };
  if (!modelRef) throw new Error('sampling by embeddings needs the model that makes the vectors');
  const model = await readJson<ModelManifest>(store, modelRef);
  const compared = comparedTexts(cases);
  const known = new Set(compared);
  const shardsOfTexts = [compared, [...new Set(requests)].filter((text) => !known.has(text))].flatMap(shardsOf);
  const vectors = new Map<string, Float32Array>();
  const plan: EmbeddingPlan = { shards: [] };
  let complete = true;
  for (const texts of shardsOfTexts) {
    const shard = await store.putBytes(canonicalJson(texts), 'embedding-shard');
    plan.shards.push(shard);
    const manifest = await readStep(store, stepKey(embeddingStage(shard, model, modelRef, configuration)));
    if (!manifest) complete = false;
    else {
      const bytes = await store.getBytes(manifest.outputs['vectors']!);
      for (const [index, vector] of vectorsIn(bytes, texts.length).entries()) vectors.set(texts[index]!, vector);
    }
  }
  if (complete) return { vectors };
  const artifact = await store.putBytes(canonicalJson(plan), 'embedding-plan');
  return { unembedded: { plan: artifact, shards: plan.shards.length } };
}

function shardsOf(texts: readonly string[]): string[][] {
  return Array.from({ length: Math.ceil(texts.length / textsPerShard) }, (_, shard) =>
    texts.slice(shard * textsPerShard, (shard + 1) * textsPerShard),
  );
}

const bytesOf = (vector: Float32Array): Uint8Array =>
  new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);

function vectorsIn(bytes: Uint8Array, texts: number): Float32Array[] {
  // A copy: bytes of a file may begin anywhere in memory.
  const values = new Float32Array(Uint8Array.from(bytes).buffer);
  const size = values.length / texts;
  return Array.from({ length: texts }, (_, text) => values.subarray(text * size, (text + 1) * size));
}

/** What a planning activity answers where vectors are missing. */
export function unembeddedPlan(unembedded: UnembeddedTexts): ShardedPlan {
  return { plan: unembedded.plan, shards: 0, items: 0, unembedded };
}
