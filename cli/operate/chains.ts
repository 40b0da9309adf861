/** Chains of an iteration, the warm start or an evaluation, with their rewards, read from the store. */
import { readShards } from '../../activities/collectRewards.ts';
import { readJson, readLibrary } from '../../activities/inputs.ts';
import type { EvaluationArtifact } from '../../activities/summariseEvaluation.ts';
import type { IterationRecord, RunRecord } from '../../activities/types.ts';
import type { ChainRecord, ScoredChain } from '../../alignment/chains/chain.ts';
import { chainName, evaluationSets, isEvaluated, parseSet, type ChainSet } from '../../alignment/feedback/chainName.ts';
import { requestsById } from '../../alignment/library/requestsById.ts';
import type { SafetyRequest } from '../../alignment/library/library.ts';
import { openStore, type ArtifactRef, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { listIterations, loadRun } from '../../infra/artifacts/runs.ts';
import { badInput } from '../errors.ts';
import type { ChainSelection, ChainView, RunRequest } from '../operations.ts';

/** A chain with all that is known of it. */
export interface StoredChain {
  /** Its name within the run, with the epoch (alignment/feedback/chainName.ts). */
  name: string;
  request: SafetyRequest;
  text: string;
  scored: ScoredChain;
  /** As it was sampled; of evaluations only the text is kept. */
  sampled?: ChainRecord;
}

export async function readChains(request: Omit<RunRequest, 'signal' | 'home'> & ChainSelection): Promise<ChainView[]> {
  const store = await openStore(request.storeUri);
  const record = (await loadRun<RunRecord>(store, request.runId))?.record;
  if (!record) throw badInput(`There is no run "${request.runId}" in ${store.uri}.`, '`cada runs` lists them.');
  const chains = await chainsOf(store, record, parseSet(String(request.of)) ?? 'warmStart');
  if (!chains) throw await unfinished(store, record, String(request.of));
  return chains
    .map(viewOf)
    .filter((view) => request.kind === undefined || view.kind === request.kind)
    .slice(0, request.limit);
}

/** In the order of the plan; undefined where the run has no such set (yet). */
export async function chainsOf(
  store: ArtifactStore,
  record: RunRecord,
  set: ChainSet,
): Promise<StoredChain[] | undefined> {
  if (isEvaluated(set)) {
    const evaluation = record.evaluations[evaluationSets[set]];
    return evaluation && evaluated(store, evaluation.artifact, set);
  }
  const wanted = set === 'warmStart' ? { iteration: 0 } : set;
  const found = (await listIterations<IterationRecord>(store, record.runId)).findLast(
    ({ n, epoch }) => n === wanted.iteration && (wanted.epoch === undefined || epoch === wanted.epoch),
  );
  const { chains, rewards } = found?.value ?? {};
  if (!chains || !rewards) return undefined;
  const exact: ChainSet = wanted.iteration === 0 ? 'warmStart' : { iteration: found!.n, epoch: found!.epoch };
  return sampled(store, record, { chains, rewards }, exact);
}

async function evaluated(store: ArtifactStore, artifact: ArtifactRef, set: ChainSet): Promise<StoredChain[]> {
  const { answers } = await readJson<EvaluationArtifact>(store, artifact);
  return answers.map(({ requestId, request, category, text, scored }) => ({
    name: chainName({ set, requestId, sample: scored.sampleIndex }),
    request: {
      ...{ id: requestId, category, request, kind: scored.kind },
      label: scored.kind === 'harmful' ? 'harmful' : 'harmless',
    },
    ...{ text, scored },
  }));
}

async function sampled(
  store: ArtifactStore,
  record: RunRecord,
  lists: { chains: ArtifactRef; rewards: ArtifactRef },
  set: ChainSet,
): Promise<StoredChain[]> {
  const requests = requestsById(await readLibrary(store, record));
  const chains = await readShards<ChainRecord>({ store }, lists.chains);
  const rewards = await readShards<ScoredChain>({ store }, lists.rewards);
  return chains.map((chain, index) => ({
    name: chainName({ set, requestId: chain.requestId, sample: chain.sampleIndex }),
    request: requests.get(chain.requestId)!,
    text: chain.text,
    scored: rewards[index]!,
    sampled: chain,
  }));
}

/** The error that tells what there is instead. */
export async function unfinished(store: ArtifactStore, record: RunRecord, wanted: string): Promise<Error> {
  const iterations = await listIterations<IterationRecord>(store, record.runId);
  const known = [...Object.keys(record.evaluations), ...iterations.map(({ n }) => (n === 0 ? 'warmStart' : String(n)))];
  return badInput(
    `Run ${record.runId} has no finished "${wanted}".`,
    `There is: ${[...new Set(known)].join(', ') || 'nothing yet'}.`,
  );
}

function viewOf({ name, request, text, scored }: StoredChain): ChainView {
  return {
    id: name,
    requestId: scored.requestId,
    kind: scored.kind,
    category: request.category,
    sample: scored.sampleIndex,
    request: request.request,
    chain: text,
    finish: scored.cut ? 'length' : 'stop',
    reward: scored.reward,
    rewardParts: scored.parts,
    ...(scored.verdict === null ? {} : { refused: scored.verdict === 'refusal' }),
  };
}
