/** Everything a finished run came to that must be the same whatever happened on the way. */
import type { IterationRecord, RunRecord } from '../../activities/types.ts';
import type { ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { listIterations, loadRun } from '../../infra/artifacts/runs.ts';
import { indexStore } from '../../infra/artifacts/lineage.ts';
import { verifyRun } from '../../infra/artifacts/verify.ts';

export interface Fingerprint {
  adapter: string;
  /** "iteration 1: chains" -> digest; evaluations, exports and each step's outputs likewise. */
  digests: Record<string, string>;
  /** "iteration 1: reward" -> figure. */
  figures: Record<string, number>;
  /** The report's text, without times and sizes of memory. */
  report: string;
}

export interface Wholeness {
  fingerprint: Fingerprint;
  /** What `cada verify` finds damaged. */
  damages: string[];
  /** Steps in the store, by stage. */
  steps: number;
}

export async function readOutcome(store: ArtifactStore, runId: string): Promise<Wholeness> {
  const { record } = (await loadRun<RunRecord>(store, runId))!;
  const digests: Record<string, string> = {};
  const figures: Record<string, number> = {};
  const note = (of: string, refs: object): void => {
    for (const [name, ref] of Object.entries(refs)) {
      const { sha256 } = (ref ?? {}) as { sha256?: string };
      if (sha256) digests[`${of}: ${name}`] = sha256;
    }
  };
  note('run', {
    ...record.policy,
    configuration: record.configuration,
    library: record.library,
    exported: record.exported,
  });
  for (const [name, { artifact, figures: found }] of Object.entries(record.evaluations)) {
    note(`evaluation ${name}`, { artifact });
    for (const [figure, value] of Object.entries(found)) figures[`evaluation ${name}: ${figure}`] = value;
  }
  for (const { value } of await listIterations<IterationRecord>(store, runId)) {
    const of = `iteration ${value.epoch}-${value.iteration}`;
    const { plan, chains, rewards, updatePlan, evaluation } = value;
    note(of, { ...value.policy, plan, chains, rewards, updatePlan, evaluation });
    for (const [name, figure] of Object.entries(value.figures))
      if (!isMeasured(name)) figures[`${of}: ${name}`] = figure;
  }
  const { steps } = await indexStore(store);
  for (const step of steps.values()) note(`step ${step.stage} ${step.key.slice(0, 12)}`, step.outputs);
  const report = record.report ? new TextDecoder().decode(await store.getBytes(record.report)) : '';
  const { damages } = await verifyRun(store, runId);
  return {
    fingerprint: { adapter: record.policy?.adapter?.sha256 ?? 'none', digests, figures, report: withoutTimes(report) },
    damages: damages.map(
      ({ kind, name, fault, referredBy }) => `${kind} ${name.slice(0, 60)} ${fault} (${referredBy.join(', ')})`,
    ),
    steps: steps.size,
  };
}

/** Names of what differs, at most a few. */
export function differences(undisturbed: Fingerprint, run: Fingerprint): string[] {
  const found: string[] = [];
  for (const part of ['digests', 'figures'] as const) {
    const names = new Set([...Object.keys(undisturbed[part]), ...Object.keys(run[part])]);
    for (const name of names) {
      const [before, after] = [undisturbed[part][name], run[part][name]];
      if (before !== after) found.push(`${name}: ${before ?? 'absent'} / ${after ?? 'absent'}`);
    }
  }
  if (undisturbed.adapter !== run.adapter) found.unshift(`adapter: ${undisturbed.adapter} / ${run.adapter}`);
  if (undisturbed.report !== run.report) found.push(`report: ${firstDifference(undisturbed.report, run.report)}`);
  return found;
}

const isMeasured = (name: string): boolean => /second|time|memory|speed|per_second/i.test(name);

function withoutTimes(html: string): string {
  return (
    html
      .split('\n')
      // What was used counts the store's requests and bytes, of documents with times in them too.
      .filter((line) => !line.includes('<td>tokens written</td>'))
      .map((line) => line.replace(/[\d.,]+\s?(?:ms|s|min|h|[kMG]i?B|tok\/s)\b(?:\s?[\d.]+\s?(?:s|min))?/g, '#'))
      .join('\n')
  );
}

function firstDifference(before: string, after: string): string {
  const [a, b] = [before.split('\n'), after.split('\n')];
  const at = a.findIndex((line, index) => line !== b[index]);
  const [one, other] = [a[at] ?? '', b[at] ?? ''];
  const column = Math.max(0, [...one].findIndex((letter, index) => letter !== other[index]) - 60);
  return `line ${at + 1}: "${one.slice(column, column + 160)}" / "${other.slice(column, column + 160)}"`;
}
