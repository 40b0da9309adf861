/** The release of the final policy: its criteria judged, and the exported folders marked with what was decided. */
import { judgeRelease as judge, criterionName, type ReleaseVerdict } from '../alignment/governance/releaseCriteria.ts';
import { promotionMark, releaseSection } from '../alignment/report/releaseCard.ts';
import { appendAudit, readAudit } from '../infra/artifacts/audit.ts';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import { deriveSeed } from '../infra/artifacts/seeds.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readConfiguration, readJson } from './inputs.ts';
import { eventOfActivity } from './noteAudit.ts';
import type { FolderManifest } from './plans.ts';
import type { EvaluationArtifact } from './summariseEvaluation.ts';
import type { ArtifactRef, ReleaseState, RunContext } from './types.ts';

const policyName = 'release policy';

export interface ReleaseInput {
  /** By name: 'before', 'warm start', 'after'. */
  evaluations: Record<string, ArtifactRef>;
  /** Folders as they were exported. */
  exported: ArtifactRef;
  adapter: string;
}

/** Judges the criteria on the evaluations, and marks the exported folders as those of a candidate. */
export async function judgeRelease(
  { store }: Pick<ActivityDependencies, 'store'>,
  run: RunContext,
  { evaluations, exported, adapter }: ReleaseInput,
): Promise<Pick<ReleaseState, 'verdict' | 'met' | 'told'> & { candidate: ArtifactRef }> {
  const configuration = await readConfiguration(store, run);
  const read = (name: string) =>
    evaluations[name] ? readJson<EvaluationArtifact>(store, evaluations[name]) : undefined;
  const [before, warmStart, after] = await Promise.all([read('before'), read('warm start'), read('after')]);
  const judged = judge(
    configuration.release?.criteria ?? [],
    { after: after!, ...(before ? { before } : {}), ...(warmStart ? { warmStart } : {}) },
    {
      bootstrapSamples: configuration.evaluation.bootstrapSamples,
      seed: deriveSeed(configuration.seed, 'bootstrap'),
    },
  );
  const told = inWords(judged);
  const verdict = await store.putBytes(canonicalJson(judged), 'release-verdict');
  const evaluation = evaluations['after']!.sha256;
  await appendAudit(
    store,
    run.runId,
    {
      who: policyName,
      what: 'release criteria evaluated',
      details: { adapter, met: judged.met, told, verdict: verdict.sha256, evaluation },
    },
    // A run that goes on from its record judges again what was judged: that is told once.
    { event: `release criteria of ${adapter}, ${evaluation}, ${verdict.sha256}` },
  );
  const candidate = await markedFolders(store, exported, releaseSection({ status: 'candidate' }, judged));
  return { verdict, met: judged.met, told, candidate };
}

export interface JudgedRelease {
  exported: ArtifactRef;
  release: ReleaseState;
}

/** Keeps what was decided in the audit log, and marks the exported folders with it. */
export async function concludeRelease(
  { store }: Pick<ActivityDependencies, 'store'>,
  run: RunContext,
  { exported, release }: JudgedRelease,
): Promise<ArtifactRef> {
  const { status, adapter, decision } = release;
  // A run that goes on from its record concludes again what was decided: that is told once.
  const event = decision ? `release of ${adapter}, ${decision.at}` : eventOfActivity();
  if (decision) {
    const { outcome, by, why, despite, at } = decision;
    const details = { adapter, criteriaMet: release.met, ...(despite ? { despite } : {}), decidedAt: at };
    await appendAudit(store, run.runId, { who: by, what: outcome, why, details }, { event: `${event}, decision` });
  }
  const why = decision ? `${decision.outcome} by ${decision.by}` : release.told;
  if (status === 'promoted' || status === 'not promoted')
    await appendAudit(store, run.runId, { who: policyName, what: status, why, details: { adapter } }, { event });
  const verdict = await readJson<ReleaseVerdict>(store, release.verdict);
  const told = { status: status === 'awaiting approval' ? ('candidate' as const) : status, ...decisionOf(release) };
  const { head } = await readAudit(store, run.runId);
  const mark =
    status === 'promoted'
      ? promotionMark({ runId: run.runId, adapter, audit: head?.sha256 ?? null, ...told }, verdict)
      : undefined;
  return markedFolders(store, exported, releaseSection(told, verdict), mark);
}

const decisionOf = ({ decision }: ReleaseState) => (decision ? { decision } : {});

/** `all 3 criteria are met`, `1 of 3 criteria is not met: refusal/plain 0.31 (at most 0.2)` */
function inWords({ criteria }: ReleaseVerdict): string {
  if (criteria.length === 0) return 'no criteria are set';
  const unmet = criteria.filter(({ met }) => !met);
  if (unmet.length === 0)
    return criteria.length === 1 ? 'the criterion is met' : `all ${criteria.length} criteria are met`;
  const shown = unmet.slice(0, mostTold).map((one) => {
    const value = one.value === null ? 'not measured' : String(Number(one.value.toPrecision(3)));
    return `${criterionName(one)} ${value} (${one.asked})`;
  });
  const more = unmet.length > mostTold ? `, and ${unmet.length - mostTold} more` : '';
  return `${unmet.length} of ${criteria.length} criteria not met: ${shown.join('; ')}${more}`;
}

const mostTold = 3;

/** The exported folders with a section in each README.md, and with promoted.json where the policy was promoted. */
async function markedFolders(
  store: ArtifactStore,
  exported: ArtifactRef,
  section: string,
  mark?: object,
): Promise<ArtifactRef> {
  const { files } = await readJson<FolderManifest>(store, exported);
  const marked: FolderManifest['files'] = [];
  for (const { path, artifact } of files) {
    if (!path.endsWith('/README.md')) {
      marked.push({ path, artifact });
      continue;
    }
    const card = new TextDecoder().decode(await store.getBytes(artifact));
    marked.push({ path, artifact: await store.putBytes(`${card}\n${section}`, 'export') });
    if (!mark) continue;
    const promoted = await store.putBytes(`${JSON.stringify(mark, null, 2)}\n`, 'export');
    marked.push({ path: path.replace('README.md', 'promoted.json'), artifact: promoted });
  }
  const folder: FolderManifest = { files: marked.sort((a, b) => (a.path < b.path ? -1 : 1)) };
  return store.putBytes(canonicalJson(folder), 'export');
}
