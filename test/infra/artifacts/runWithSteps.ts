/** A small run in a store, in the form that real ones have: plans and lists by content, shards by steps, a record and an iteration. */
import type { ArtifactRef, ArtifactStore } from '../../../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../../../infra/artifacts/canonicalJson.ts';
import { saveHistory, saveIteration, saveRun } from '../../../infra/artifacts/runs.ts';
import { runStep } from '../../../infra/artifacts/steps.ts';
import type { StepDefinition, StepManifest } from '../../../infra/artifacts/steps.ts';

export interface SmallRun {
  runId: string;
  model: ArtifactRef;
  modelFile: ArtifactRef;
  shard: ArtifactRef;
  plan: ArtifactRef;
  list: ArtifactRef;
  adapter: ArtifactRef;
  generation: StepManifest;
  gradient: StepManifest;
  update: StepManifest;
}

const putJson = (store: ArtifactStore, value: unknown, kind: string): Promise<ArtifactRef> =>
  store.putBytes(canonicalJson(value), kind);

/** Computes a step whose only output has this text. */
export function computeStep(
  store: ArtifactStore,
  definition: StepDefinition,
  name: string,
  text: string,
): Promise<StepManifest & { cached: boolean }> {
  return runStep(store, definition, () => Promise.resolve({ outputs: { [name]: { bytes: text, kind: name } } }));
}

/** What depends on the run carries `runId`; the model is the same for all. */
export async function smallRun(
  store: ArtifactStore,
  runId: string,
  state: string,
  { startedAt = new Date() } = {},
): Promise<SmallRun> {
  const modelFile = await store.putBytes('the weights', 'model-file');
  const model = await putJson(store, { name: 'tiny', files: [{ path: 'w', artifact: modelFile }] }, 'model');
  const shard = await putJson(store, { items: [`requests of ${runId}`] }, 'generation-shard');
  const plan = await putJson(store, { shards: [{ shard, chains: 1 }] }, 'generation-plan');
  const generation = await computeStep(store, generationOf(shard), 'chains', `{"chain":"of ${runId}"}\n`);
  const list = await putJson(
    store,
    { plan: plan.sha256, shards: [{ artifact: generation.outputs['chains'], rows: 1 }] },
    'chain-list',
  );
  const gradient = await computeStep(
    store,
    { stage: 'computeGradients', version: 1, inputs: { shard: shard.sha256, adapter: null } },
    'gradient',
    `gradient of ${runId}`,
  );
  const update = await computeStep(
    store,
    { stage: 'updatePolicy', version: 1, inputs: { gradients: [gradient.outputs['gradient']!.sha256] } },
    'adapter',
    `adapter of ${runId}`,
  );
  const adapter = update.outputs['adapter']!;
  const configuration = await putJson(store, { runId }, 'configuration');
  const report = await store.putBytes(`<html>${runId}</html>`, 'report');
  const record = { runId, configuration, state, policy: { model, adapter }, report };
  await saveRun(store, runId, record, undefined, startedAt);
  await saveIteration(store, runId, 0, 1, { policy: { model, adapter }, chains: list });
  // The plan itself is known to the history only.
  const data = Buffer.from(JSON.stringify({ plan })).toString('base64');
  await saveHistory(store, runId, 'run.1', { events: [{ input: { payloads: [{ metadata: {}, data }] } }] });
  return { runId, model, modelFile, shard, plan, list, adapter, generation, gradient, update };
}

export const generationOf = (shard: ArtifactRef): StepDefinition => ({
  stage: 'generateChains',
  version: 1,
  inputs: { shard: shard.sha256, model: 'e'.repeat(64) },
});
