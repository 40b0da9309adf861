/** The chains of an iteration with their rewards, joined from the artifacts that the iteration's record names. */
import type { ShardList } from '../activities/plans.ts';
import type { ChainRecord, ScoredChain } from '../alignment/chains/chain.ts';
import { parseLibrary } from '../alignment/library/parseLibrary.ts';
import { requestSplits } from '../alignment/library/library.ts';
import type { ArtifactRef, ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { listIterations } from '../infra/artifacts/runs.ts';
import type { IterationRecord } from '../workflows/types.ts';
import { badInput } from './errors.ts';
import { readJsonArtifact } from './runs.ts';
import type { FoundRun } from './runs.ts';

export interface ChainView {
  requestId: string;
  kind: string;
  sample: number;
  guidance: string;
  request: string;
  chain: string;
  finish: string;
  /** null = unscorable. */
  reward: number | null;
  /** Unweighted parts of the reward. */
  parts: Record<string, number>;
  verdict: string | null;
}

/**
 * @param iteration number of the iteration; 0 is the warm start. Where it was done again after a roll-back, the last one counts.
 * @throws CliError (bad input) where the run has no such iteration
 */
export async function readChains({ store, runId, record }: FoundRun, iteration: number): Promise<ChainView[]> {
  const saved = await listIterations<IterationRecord>(store, runId);
  const found = saved.findLast(({ n }) => n === iteration)?.value;
  if (!found?.chains) {
    const known = [...new Set(saved.filter(({ value }) => value.chains).map(({ n }) => n))];
    const which =
      known.length > 0 ? `Finished so far: ${known.join(', ')} (0 is the warm start).` : 'None has ended yet.';
    throw badInput(`Run ${runId} has no finished iteration ${iteration} with chains.`, which);
  }
  const chains = await readRows<ChainRecord>(store, found.chains);
  const scored = found.rewards ? await readRows<ScoredChain>(store, found.rewards) : [];
  const scores = new Map(scored.map((score) => [chainKey(score), score]));
  const library = parseLibrary(await readJsonArtifact<Record<string, string>>(store, record.library));
  const requests = new Map(requestSplits.flatMap((split) => library.requests[split].map((r) => [r.id, r.request])));

  return chains.map((chain) => {
    const score = scores.get(chainKey(chain));
    return {
      requestId: chain.requestId,
      kind: score?.kind ?? 'unknown',
      sample: chain.sampleIndex,
      guidance: chain.guidance,
      request: requests.get(chain.requestId) ?? '',
      chain: chain.text,
      finish: chain.finishReason,
      reward: score?.reward ?? null,
      parts: score?.parts ?? {},
      verdict: score?.verdict ?? null,
    };
  });
}

const chainKey = ({ requestId, sampleIndex }: { requestId: string; sampleIndex: number }): string =>
  `${requestId}#${sampleIndex}`;

async function readRows<T>(store: ArtifactStore, list: ArtifactRef): Promise<T[]> {
  const { shards } = await readJsonArtifact<ShardList>(store, list);
  const rows: T[] = [];
  for (const { artifact } of shards) {
    const text = new TextDecoder().decode(await store.getBytes(artifact));
    rows.push(
      ...text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as T),
    );
  }
  return rows;
}
