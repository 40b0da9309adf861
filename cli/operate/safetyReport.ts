/** Gathers what a safety report shows from the lineage of a run in the store, and writes it. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readConfiguration as readStored, readJson } from '../../activities/inputs.ts';
import type { FolderManifest, GenerationPlan, GenerationShard, ModelManifest } from '../../activities/plans.ts';
import type { EvaluationArtifact } from '../../activities/summariseEvaluation.ts';
import type { CourseChange, IterationRecord, RunRecord } from '../../activities/types.ts';
import { usedResources } from '../../activities/usedResources.ts';
import { comparisons, toldRelease } from '../../activities/writeReport.ts';
import { contaminationTable, librarySources } from '../../alignment/benchmarks/contamination.ts';
import { decontaminationFile, type Decontamination } from '../../alignment/benchmarks/decontaminate.ts';
import { configurationSchema, type Configuration } from '../../alignment/configuration/schema.ts';
import type { Mark } from '../../alignment/feedback/marks.ts';
import { requestsById } from '../../alignment/library/requestsById.ts';
import type { Library } from '../../alignment/library/library.ts';
import { parseLibrary } from '../../alignment/library/parseLibrary.ts';
import type { ReportedEvaluation } from '../../alignment/report/reportData.ts';
import { judgeFacts } from '../../alignment/safetyReport/judgeFacts.ts';
import { safetyHtml, safetyMarkdown, safetyReport } from '../../alignment/safetyReport/renderSafetyReport.ts';
import type { ContaminationCount, SafetyData, TrainedRequests } from '../../alignment/safetyReport/safetyData.ts';
import { engineVersion } from '../../engine/version.ts';
import type { ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { readAudit } from '../../infra/artifacts/audit.ts';
import { sha256 } from '../../infra/artifacts/digest.ts';
import { listMarks } from '../../infra/artifacts/marks.ts';
import { listCourse, listIterations, listLine, loadRun } from '../../infra/artifacts/runs.ts';
import { badInput } from '../errors.ts';
import { packageVersion } from '../packageRoot.ts';
import type { FoundRun } from '../runs.ts';
import { inStageOrder } from '../stageOrder.ts';

/** @throws CliError (bad input) where the run has no model yet. */
export async function gatherSafety({ store, runId, record, savedAt }: FoundRun): Promise<SafetyData> {
  if (!record.policy)
    throw badInput(
      `Run ${runId} has no model yet: there is nothing to report.`,
      'Wait until it has begun (`cada status`).',
    );
  // A run of an older version lacks the settings that have been added since.
  const configuration = configurationSchema.parse(await readStored(store, record));
  const files = await readJson<Record<string, string>>(store, record.library);
  const library = parseLibrary(files);
  const { files: _files, entry: _entry, ...model } = await readJson<ModelManifest>(store, record.policy.model);
  const all = await listIterations<IterationRecord>(store, runId);
  const line = (await listLine<IterationRecord>(store, runId, record)).map(({ value }) => value);
  const evaluations = await evaluationsOf(store, record);
  const folder = record.exported && (await readJson<FolderManifest>(store, record.exported));
  const audit = await readAudit(store, runId);
  const startedAt = (await loadRun<RunRecord>(store, runId))?.startedAt;
  return {
    ...{ runId, state: record.state, savedAt, configuration, library },
    ...(record.cause === undefined ? {} : { cause: record.cause }),
    ...(startedAt === undefined ? {} : { startedAt }),
    configurationSha256: record.configuration.sha256,
    librarySha256: record.library.sha256,
    libraryFiles: Object.fromEntries(Object.entries(files).map(([path, text]) => [path, sha256(text)])),
    model,
    adapterSha256: record.policy.adapter?.sha256 ?? null,
    iterations: record.iteration,
    trained: await trainedRequests(store, library, line),
    warmStartFigures: line.find(({ iteration }) => iteration === 0)?.figures ?? {},
    contamination: contaminationOf(library),
    ...decontaminationOf(files),
    judges: judgeFacts(configuration, library, files),
    evaluations,
    ...comparedBy(configuration, evaluations),
    marks: await listMarks<Mark>(store, runId),
    audit: {
      entries: audit.entries.map(({ number, at, who, what, why, details }) => {
        // Some say in their details, in words, what was found.
        const words = why ?? details['told'];
        return { number, at, who, what, ...(typeof words === 'string' ? { why: words } : {}) };
      }),
      ...(audit.broken ? { broken: audit.broken } : {}),
      ...(audit.head ? { head: audit.head } : {}),
    },
    ...(await toldRelease(store, record)),
    course: (await listCourse<CourseChange>(store, runId)).map(({ told, by, at, epoch, iteration }) => ({
      ...{ told, by, at, epoch, iteration },
    })),
    givenUp: all.length - line.length,
    unscorable: [
      ...(await unscorableOf(store, line)),
      ...evaluations.map(({ name, figures }) => ({
        part: `evaluation ${name}`,
        ...{ chains: figures.all.unscorable, of: figures.all.n },
      })),
    ],
    wallSeconds: Object.fromEntries(inStageOrder(record.wallSeconds)),
    peakMemoryBytes: record.peakMemoryBytes,
    ...(folder
      ? {
          used: await usedResources(
            store,
            record,
            all.map(({ value }) => value),
            folder,
          ),
        }
      : {}),
    exported: (folder?.files ?? []).map(({ path, artifact }) => ({
      ...{ path, sha256: artifact.sha256, bytes: artifact.bytes },
    })),
    versions: { cada: packageVersion(), engine: engineVersion, node: process.versions.node },
  };
}

async function evaluationsOf(store: ArtifactStore, record: RunRecord): Promise<ReportedEvaluation[]> {
  const evaluations: ReportedEvaluation[] = [];
  for (const name of ['before', 'warm start', 'after']) {
    const artifact = record.evaluations[name]?.artifact;
    if (artifact)
      evaluations.push({ ...(await readJson<EvaluationArtifact>(store, artifact)), sha256: artifact.sha256 });
  }
  return evaluations;
}

function comparedBy(
  configuration: Configuration,
  evaluations: readonly ReportedEvaluation[],
): Pick<SafetyData, 'comparisons'> {
  const has = (wanted: string): boolean => evaluations.some(({ name }) => name === wanted);
  return has('before') && has('after') ? { comparisons: comparisons(configuration, evaluations) } : {};
}

/** Of the plans that the chains were drawn by, requests drawn in place of others included. */
async function trainedRequests(
  store: ArtifactStore,
  library: Library,
  line: readonly IterationRecord[],
): Promise<TrainedRequests[]> {
  const known = requestsById(library);
  const parts = new Map<string, { ids: Set<string>; chains: number }>();
  for (const { iteration, plan, refills = [] } of line) {
    const part = iteration === 0 ? 'warm start' : 'iterations';
    for (const ref of [plan, ...refills.map((refill) => refill.plan)]) {
      if (!ref) continue;
      const found = parts.get(part) ?? { ids: new Set(), chains: 0 };
      parts.set(part, found);
      for (const { shard, chains } of (await readJson<GenerationPlan>(store, ref)).shards) {
        found.chains += chains;
        for (const { requestId } of (await readJson<GenerationShard>(store, shard)).items) found.ids.add(requestId);
      }
    }
  }
  return [...parts].map(([part, { ids, chains }]) => ({
    ...{ part, chains },
    requests: [...ids].flatMap((id) => {
      const request = known.get(id);
      return request ? [{ id, kind: request.kind, category: request.category }] : [];
    }),
  }));
}

async function unscorableOf(store: ArtifactStore, line: readonly IterationRecord[]): Promise<SafetyData['unscorable']> {
  const parts: SafetyData['unscorable'] = [];
  for (const { iteration, figures, plan } of line) {
    if (!plan || !figures['unscorable']) continue;
    const { shards } = await readJson<GenerationPlan>(store, plan);
    const of = shards.reduce((sum, { chains }) => sum + chains, 0);
    parts.push({ part: iteration === 0 ? 'warm start' : `iteration ${iteration}`, chains: figures['unscorable'], of });
  }
  return parts;
}

/** What the model saw, against the benchmarks that came with the run's library. */
function contaminationOf(library: Library): ContaminationCount[] {
  const benchmarks = Object.entries(library.benchmarks).map(([benchmark, requests]) => ({
    benchmark,
    questions: requests.map(({ id, request }) => ({ id, texts: [request] })),
  }));
  const sources = librarySources(library).filter(({ use }) => use === 'trained on' || use === 'in prompts');
  return contaminationTable(sources, benchmarks).map(({ source, benchmark, texts, exact, near, run = 0 }) => ({
    ...{ source, benchmark, texts, exact, near, run },
  }));
}

/** What was left out before the run began, where its configuration asked for it. */
function decontaminationOf(files: Readonly<Record<string, string>>): Pick<SafetyData, 'decontamination'> {
  const kept = files[decontaminationFile];
  return kept === undefined ? {} : { decontamination: JSON.parse(kept) as Decontamination };
}

/** Whole or not at all. @returns the paths of the two files. */
export async function writeSafetyReport(data: SafetyData, folder: string): Promise<{ markdown: string; html: string }> {
  const report = safetyReport(data);
  const paths = { markdown: join(folder, 'safety-report.md'), html: join(folder, 'safety-report.html') };
  await mkdir(folder, { recursive: true });
  for (const [path, content] of [
    [paths.markdown, safetyMarkdown(report)],
    [paths.html, safetyHtml(report)],
  ] as const) {
    const temporary = `${path}.${process.pid}.partial`;
    await writeFile(temporary, content);
    await rename(temporary, path);
  }
  return paths;
}
