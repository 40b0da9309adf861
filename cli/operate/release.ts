/** What has been decided about a run's final policy, with its criteria, read from the store. */
import { readJson } from '../../activities/inputs.ts';
import type { ReleaseState, RunRecord } from '../../activities/types.ts';
import type { JudgedCriterion, ReleaseVerdict } from '../../alignment/governance/releaseCriteria.ts';
import type { ArtifactStore } from '../../infra/artifacts/artifactStore.ts';

/** As `cada status --json` and `cada report --json` tell it. */
export interface ToldRelease extends Omit<ReleaseState, 'verdict' | 'told'> {
  criteria: JudgedCriterion[];
}

/** Undefined where the run has no section `release`, or has not come so far. */
export async function releaseOf(store: ArtifactStore, record: RunRecord): Promise<ToldRelease | undefined> {
  if (!record.release) return undefined;
  const { verdict, told: _told, ...release } = record.release;
  return { ...release, criteria: (await readJson<ReleaseVerdict>(store, verdict)).criteria };
}
