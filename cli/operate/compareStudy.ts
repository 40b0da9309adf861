/** Runs a study: publishes it, starts or finds its workflow, follows it, and writes its result below CADA_HOME. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readJson } from '../../activities/inputs.ts';
import {
  hypothesesDigest,
  studyDocument,
  type StudyInput,
  type StudyPlan,
  type StudyRecord,
} from '../../activities/studyPlans.ts';
import { summariseStudy } from '../../activities/studyResult.ts';
import { stateAttribute } from '../../activities/types.ts';
import type { Study } from '../../alignment/study/studySchema.ts';
import type { StudyResult } from '../../alignment/study/studyResult.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { announceStudyPlan } from '../../infra/artifacts/otherWork.ts';
import { artifactsFolder } from '../../infra/paths.ts';
import { connectClient, resolveTemporal } from '../../infra/temporal/connection.ts';
import { registerSearchAttributes } from '../../infra/temporal/searchAttributes.ts';
import { commandName } from '../commandName.ts';
import { badInput } from '../errors.ts';
import { readStudy } from './compareFile.ts';
import { planStudy } from './comparePlan.ts';
import { followStudy, type StudyWorkflow } from './followStudy.ts';
import { importUnits, unitLines } from './studyUnits.ts';
import { keepTold, startOptions, withServer, type Server } from './workflowRun.ts';

export interface ComparisonRequest {
  file: string;
  data: string | undefined;
  storeUri: string;
  home: string;
  /** A file with units that another machine has done. */
  units?: string;
  /** Of the units that are done, without doing more. */
  interim?: boolean;
  /** A run that waits for its operator is stopped, and its unit named as failed. */
  passOver?: boolean;
  /** Hand it to an external server and its workers, and return. */
  detach: boolean;
  signal: AbortSignal;
}

export type Comparison =
  | { state: 'done'; studyId: string; result: StudyResult; files: StudyFiles }
  | { state: 'detached'; studyId: string }
  /** A run of it waits for its operator. */
  | { state: 'waiting'; studyId: string; runId: string; cause: string };

export interface StudyFiles {
  page: string;
  json: string;
  markdown: string;
  latex: string;
  /** Outcomes of every unit, for --units. */
  units: string;
}

/** @throws CliError, ConfigurationError for a study that can't be run; the workflow's failure otherwise. */
export async function compare(request: ComparisonRequest, report: (line: string) => void): Promise<Comparison> {
  if (request.detach && resolveTemporal(process.env).kind === 'embedded') {
    throw badInput(
      '--detach needs a Temporal server that outlives this command.',
      'Set TEMPORAL_ADDRESS to one, or leave out --detach.',
    );
  }
  const read = await readStudy(request.file);
  const store = await openStore(request.storeUri);
  const study = await planStudy(store, read, { data: request.data, report });
  report(`study ${study.studyId}: ${study.units} units`);
  if (request.units !== undefined) {
    report(`${await importUnits(store, study, request.units)} units of ${request.units}`);
  }
  if (request.interim) return interim(store, study, read.study, request.home);
  const found = await delivered(store, study, read.study, request.home);
  if (found) return found;
  await announceStudyPlan(store, study.studyId, study.plan);
  const { storeUri, home, signal } = request;
  const waiting = await withServer({ id: study.studyId, store, storeUri, home, signal, report }, (server) =>
    onServer(server, store, study, request, report),
  );
  if (waiting) return waiting;
  const result = await delivered(store, study, read.study, request.home, 'with failures');
  if (!result)
    throw new Error(
      `the workflow of study ${study.studyId} has ended, but ${studyDocument(study.studyId)} is not in the store`,
    );
  return result;
}

/** What the units that are done come to; whether others are at work just now makes no difference to them. */
async function interim(store: ArtifactStore, input: StudyInput, study: Study, home: string): Promise<Comparison> {
  if ((await unitLines(store, input)) === '') {
    throw badInput(`No unit of study ${input.studyId} is done.`, 'Give the command without --interim to run it.');
  }
  await summariseStudy({ store }, input, []);
  return (await delivered(store, input, study, home, 'with failures'))!;
}

/** The result, where it is in the store and whole, as files too. */
async function delivered(
  store: ArtifactStore,
  input: StudyInput,
  study: Study,
  home: string,
  also?: 'with failures',
): Promise<Comparison | undefined> {
  const { studyId } = input;
  const recorded = async () => (await store.getDocument<StudyRecord>(studyDocument(studyId)))?.value;
  let record = await recorded();
  if (!record || (record.failed.length > 0 && !also)) return undefined;
  const { hazards } = await readJson<StudyPlan>(store, input.plan);
  if (record.hypotheses !== hypothesesDigest(study) || record.hazards !== hazards?.sha256) {
    // Claims that came, went or were worded anew since, or hazards that an older version did not tell of: its units are what they were.
    await summariseStudy({ store }, input, record.failed);
    record = (await recorded())!;
  }
  const { page, json, markdown, latex } = record;
  for (const ref of [page, json, markdown, latex]) if (!(await store.has(ref))) return undefined;
  const folder = join(home, 'studies', studyId);
  const files: StudyFiles = {
    page: join(folder, 'index.html'),
    json: join(folder, 'study.json'),
    markdown: join(folder, 'tables.md'),
    latex: join(folder, 'table.tex'),
    units: join(folder, 'units.jsonl'),
  };
  for (const name of ['page', 'json', 'markdown', 'latex'] as const) await store.fetchToFile(record[name], files[name]);
  await writeFile(files.units, await unitLines(store, input));
  return { state: 'done', studyId, result: await readJson<StudyResult>(store, json), files };
}

async function onServer(
  { endpoint, external, workerFailed }: Server,
  store: ArtifactStore,
  study: StudyInput,
  { signal, detach, passOver, storeUri, home }: ComparisonRequest,
  report: (line: string) => void,
): Promise<Comparison | undefined> {
  const { studyId } = study;
  const connected = await connectClient(endpoint);
  const { client } = connected;
  try {
    const searchable = await registerSearchAttributes(connected.connection, client.options.namespace, {
      [stateAttribute]: 'Keyword',
    }).then(
      () => true,
      () => false,
    );
    const handle = await client.workflow.start<StudyWorkflow>('compareArms', {
      ...startOptions(studyId),
      args: [study, { searchable, archive: external }],
      staticSummary: `CADA study ${studyId}`,
    });
    if (detach) {
      report(`Study ${studyId} is on ${endpoint.address}; the same command without --detach follows it.`);
      return { state: 'detached', studyId };
    }
    const waiting = await followStudy(client, handle, studyId, {
      signal,
      report,
      passOver: passOver === true,
      command: commandName(process.env, process.argv[1], process.cwd()),
      ...(storeUri === artifactsFolder(home) ? {} : { storeUri }),
      ...(workerFailed ? { workerFailed } : {}),
    });
    if (waiting) return { state: 'waiting', studyId, ...waiting };
    await keepTold(client, { id: studyId, store, report });
    return undefined;
  } finally {
    await connected.close().catch(() => {});
  }
}
