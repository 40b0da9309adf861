/** Chains of an iteration, the warm start or an evaluation, with their rewards, read from the store. */
import { readShards } from '../../activities/collectRewards.ts';
import { readJson, readLibrary } from '../../activities/inputs.ts';
import { requestsById } from '../../activities/rewardChains.ts';
import type { EvaluationArtifact } from '../../activities/summariseEvaluation.ts';
import type { ChainRecord, ScoredChain } from '../../alignment/chains/chain.ts';
import type { SafetyRequest } from '../../alignment/library/library.ts';
import { openStore, type ArtifactRef, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { listIterations, loadRun } from '../../infra/artifacts/runs.ts';
import type { IterationRecord, RunRecord } from '../../activities/types.ts';
import { badInput } from '../errors.ts';
import type { ChainSelection, ChainView, RunRequest } from '../operations.ts';

export async function readChains(request: Omit<RunRequest, 'signal' | 'home'> & ChainSelection): Promise<ChainView[]> {
  const store = await openStore(request.storeUri);
  const record = (await loadRun<RunRecord>(store, request.runId))?.record;
  if (!record) throw badInput(`There is no run "${request.runId}" in ${store.uri}.`, '`cada runs` lists them.');
  const evaluationName = request.of === 'warm start' || request.of === 'warmStart' ? undefined : String(request.of);
  const evaluation = evaluationName === undefined ? undefined : record.evaluations[evaluationName];
  const views = evaluation ? await evaluated(store, evaluation.artifact) : await iterated(store, record, request);
  return views.filter((view) => request.kind === undefined || view.kind === request.kind).slice(0, request.limit);
}

async function evaluated(store: ArtifactStore, artifact: ArtifactRef): Promise<ChainView[]> {
  const { answers } = await readJson<EvaluationArtifact>(store, artifact);
  return answers.map(({ request, category, text, scored }) => viewOf({ request, category }, text, scored));
}

async function iterated(
  store: ArtifactStore,
  record: RunRecord,
  { runId, of }: { runId: string } & ChainSelection,
): Promise<ChainView[]> {
  const wanted = typeof of === 'number' ? of : /^\d+$/.test(of) ? Number(of) : 0;
  const iterations = await listIterations<IterationRecord>(store, runId);
  const found = iterations.findLast(({ n }) => n === wanted)?.value;
  if (!found?.chains || !found.rewards) {
    const known = [
      ...Object.keys(record.evaluations),
      ...iterations.map(({ n }) => (n === 0 ? 'warm start' : String(n))),
    ];
    throw badInput(`Run ${runId} has no finished "${of}".`, `There is: ${known.join(', ') || 'nothing yet'}.`);
  }
  const requests: Map<string, SafetyRequest> = requestsById(await readLibrary(store, record));
  const chains = await readShards<ChainRecord>({ store }, found.chains);
  const rewards = await readShards<ScoredChain>({ store }, found.rewards);
  return chains.map((chain, index) => viewOf(requests.get(chain.requestId)!, chain.text, rewards[index]!));
}

function viewOf(
  { request, category }: { request: string; category: string },
  text: string,
  scored: ScoredChain,
): ChainView {
  return {
    requestId: scored.requestId,
    kind: scored.kind,
    category,
    sample: scored.sampleIndex,
    request,
    chain: text,
    finish: scored.cut ? 'length' : 'stop',
    reward: scored.reward,
    rewardParts: scored.parts,
    ...(scored.verdict === null ? {} : { refused: scored.verdict === 'refusal' }),
  };
}
