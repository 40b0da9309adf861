/** Drafts cases: publishes the requests as a run's, has their chains written and judged, and writes the file for review. */
import { readFile } from 'node:fs/promises';
import { readConfiguration as readStored, readJson } from '../../activities/inputs.ts';
import type { ArtifactRef, PolicyState } from '../../activities/types.ts';
import { parseDraftFile, type CaseDraftFile } from '../../alignment/cases/drafts/caseDrafts.ts';
import {
  draftable,
  parseDraftRequests,
  type DraftRequest,
  type SkippedRequest,
} from '../../alignment/cases/drafts/draftRequests.ts';
import { asksGuardModel } from '../../alignment/configuration/optionalRewards.ts';
import { configurationSchema, type Configuration } from '../../alignment/configuration/schema.ts';
import type { Library, RequestKind } from '../../alignment/library/library.ts';
import { parseLibrary, requestFile } from '../../alignment/library/parseLibrary.ts';
import { seededOrder } from '../../alignment/randomness/seededRandom.ts';
import { openStore } from '../../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { announceWork, saveWork } from '../../infra/artifacts/otherWork.ts';
import { sha256 } from '../../infra/artifacts/digest.ts';
import type { DraftingInput, DraftingOutcome } from '../../workflows/draftCases.ts';
import { badInput } from '../errors.ts';
import { packageVersion } from '../packageRoot.ts';
import { findRun } from '../runs.ts';
import { checkLocalModel } from './inputChecks.ts';
import { questionFinder } from './decontaminatedLibrary.ts';
import { readRunLibrary } from './libraryFiles.ts';
import { runWorkflow } from './workflowRun.ts';

export interface DraftingRequest {
  configuration: Configuration;
  /** The run whose aligned model writes; absent = the untouched model of the configuration. */
  run: string | undefined;
  /** JSON Lines of labelled requests; absent = training requests of the library. */
  from: string | undefined;
  kinds: RequestKind[];
  /** Requests at most; the seed chooses them. */
  limit: number | undefined;
  samples: number;
  temperature: number | undefined;
  seed: number | undefined;
  /** The teacher of the configuration writes, not the policy. */
  teacher: boolean;
  storeUri: string;
  home: string;
  signal: AbortSignal;
}

export interface Drafting {
  file: CaseDraftFile;
  skipped: SkippedRequest[];
}

/** @throws CliError, LibraryError for requests and settings that can't be; the workflow's failure otherwise. */
export async function draftCasesFor(request: DraftingRequest, report: (line: string) => void): Promise<Drafting> {
  const store = await openStore(request.storeUri);
  const { base, policy } = await policyOf(request);
  const files = await readRunLibrary(base.library);
  const library = parseLibrary(files);
  const { requests, skipped } = draftable(
    await requestsOf(request, library),
    library,
    await questionFinder(base.library.decontaminate),
  );
  for (const { id, why } of skipped) report(`request ${id} is left out: ${why}`);
  if (requests.length === 0)
    throw badInput('There is no request left to draft a case for.', 'Name another file with --from, or other --kinds.');
  const configuration = draftingConfiguration(base, request, requests);
  if (!policy) await checkLocalModel(configuration);
  const put = (value: unknown, kind: string): Promise<ArtifactRef> => store.putBytes(canonicalJson(value), kind);
  // The requests take the place of the training split: all stages that chains go through know them then.
  const asked = { ...files, [requestFile('training')]: requests.map((one) => `${JSON.stringify(one)}\n`).join('') };
  parseLibrary(asked);
  const run = { configuration: await put(configuration, 'configuration'), library: await put(asked, 'library') };
  const digest = sha256(canonicalJson({ policy: policy ?? null, ...run }));
  const runId = `drafts-${digest.slice(0, 12)}`;
  const input: DraftingInput = {
    run: { runId, ...run },
    requests: await put(requests, 'draft-requests'),
    ...(policy ? { policy } : {}),
    ...(asksGuardModel(configuration) ? { guardModel: true as const } : {}),
  };
  // Until it is forgotten (`cada gc --forget`), what the drafts come from stays.
  await announceWork(store, 'drafting', runId, input);
  report(`${requests.length} requests, ${request.samples} samples each: drafting ${runId}`);
  const { drafts } = await runWorkflow<DraftingInput, DraftingOutcome>({
    workflow: 'draftCases',
    id: runId,
    input,
    summary: `CADA drafts of cases ${runId}`,
    ...{ store, storeUri: request.storeUri, home: request.home, signal: request.signal, report },
  });
  await saveWork(store, 'drafting', runId, { ...input, drafts });
  const collected = await readJson<CaseDraftFile>(store, drafts);
  const provenance = {
    ...collected.provenance,
    cada: packageVersion(),
    ...(request.run === undefined ? {} : { run: request.run }),
    libraryFiles: sha256(canonicalJson(files)),
    skipped: skipped.length,
  };
  return { file: parseDraftFile(JSON.stringify({ ...collected, provenance })), skipped };
}

async function policyOf(request: DraftingRequest): Promise<{ base: Configuration; policy?: PolicyState }> {
  if (request.run === undefined) return { base: request.configuration };
  const { store, record, runId } = await findRun(request.storeUri, request.run);
  if (!record.policy?.adapter)
    throw badInput(`Run "${runId}" has no aligned model yet.`, 'Wait until its warm start has ended (`cada status`).');
  const { model, adapter } = record.policy;
  return { base: configurationSchema.parse(await readStored(store, record)), policy: { model, adapter } };
}

async function requestsOf(request: DraftingRequest, library: Library): Promise<DraftRequest[]> {
  const { from, kinds, limit } = request;
  const all: DraftRequest[] = from === undefined ? library.requests.training : await readRequests(from);
  const wanted = all.filter(({ kind }) => kinds.includes(kind));
  if (limit === undefined || limit >= wanted.length) return wanted;
  const seed = `${request.seed ?? request.configuration.seed}/drafts`;
  // Both sides of a pair that the file names, or neither.
  const groups = [...Map.groupBy(wanted, ({ id, pair }) => pair ?? id)];
  const chosen = new Set<string>();
  for (const [, group] of seededOrder(groups, ([name]) => name, seed)) {
    if (chosen.size + group.length > limit) break;
    for (const { id } of group) chosen.add(id);
  }
  return wanted.filter(({ id }) => chosen.has(id));
}

async function readRequests(file: string): Promise<DraftRequest[]> {
  let content: string;
  try {
    content = await readFile(file, 'utf8');
  } catch (error) {
    throw badInput(
      `The requests cannot be read: ${(error as Error).message}`,
      'Name a file of JSON Lines with --from.',
    );
  }
  return parseDraftRequests(file, content);
}

/** The configuration whose warm start asks for exactly these requests. */
function draftingConfiguration(
  base: Configuration,
  { samples, temperature, seed, teacher }: DraftingRequest,
  requests: readonly DraftRequest[],
): Configuration {
  if (teacher && !base.teacher)
    throw badInput(
      'The configuration has no teacher.',
      'Give it a section teacher with url and model, or leave out --teacher.',
    );
  const { target: _target, refusal: _refusal, keepPerKind: _keep, source, deliberation, ...warmStart } = base.warmStart;
  const count = (kind: RequestKind): number => requests.filter((one) => one.kind === kind).length;
  const written = teacher
    ? { source: 'teacher' }
    : { ...(source ? { source } : {}), ...(deliberation ? { deliberation } : {}) };
  const parsed = configurationSchema.safeParse({
    ...base,
    name: 'drafts',
    ...(seed === undefined ? {} : { seed }),
    warmStart: {
      ...warmStart,
      ...written,
      enabled: true,
      requests: { harmful: count('harmful'), plain: count('plain'), lookAlike: count('look-alike') },
      samplesPerRequest: samples,
      // Several greedy samples would be one.
      temperature: temperature ?? (samples > 1 && warmStart.temperature === 0 ? 0.7 : warmStart.temperature),
    },
  });
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw badInput(`Cases cannot be drafted with this configuration: ${issue!.path.join('.')}: ${issue!.message}.`);
  }
  return parsed.data;
}
