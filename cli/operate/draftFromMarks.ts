/** `cada cases draft --from-marks`: drafts of cases from chains that reviewers marked right, and the requests whose cases are still to be written. */
import { readConfiguration, readJson, readLibrary } from '../../activities/inputs.ts';
import type { ModelManifest } from '../../activities/plans.ts';
import { parseDraftFile, type CaseDraftFile } from '../../alignment/cases/drafts/caseDrafts.ts';
import type { DraftRequest, SkippedRequest } from '../../alignment/cases/drafts/draftRequests.ts';
import { draftsFromMarks } from '../../alignment/feedback/draftsFromMarks.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { sha256 } from '../../infra/artifacts/digest.ts';
import { badInput } from '../errors.ts';
import { packageVersion } from '../packageRoot.ts';
import { findRun } from '../runs.ts';
import { findMarkedChains } from './markedChains.ts';

export interface DraftedFromMarks {
  file: CaseDraftFile;
  requests: DraftRequest[];
  skipped: SkippedRequest[];
}

/** @throws CliError (bad input) where nothing is marked, or no mark makes a draft or a request to draft. */
export async function draftFromMarks(storeUri: string, named: string): Promise<DraftedFromMarks> {
  const run = await findRun(storeUri, named);
  const { store, runId, record } = run;
  const { chains, skipped } = await findMarkedChains(storeUri, runId, new Date());
  const configuration = await readConfiguration(store, record);
  const library = await readLibrary(store, record);
  const found = draftsFromMarks(
    chains.map(({ as, chain }) => ({ as, ...chain })),
    library,
    configuration.chain,
  );
  const { drafts, requests } = found;
  const left = [...skipped.map(({ chain, why }) => ({ id: chain, why })), ...found.skipped];
  if (drafts.length + requests.length === 0)
    throw badInput(
      `No mark of run ${runId} can become a case${left[0] ? ` (${left[0].id}: ${left[0].why})` : ''}.`,
      'Mark chains of its warm start or its iterations: what is evaluated on must not be a case.',
    );
  const model = record.policy && (await readJson<ModelManifest>(store, record.policy.model));
  const marks = chains.map(({ as, by, chain }) => ({ chain: chain.name, as, by }));
  const file: CaseDraftFile = {
    format: 'cada-case-drafts',
    version: 1,
    provenance: {
      drafting: `marks-${sha256(canonicalJson({ runId, marks, drafts })).slice(0, 12)}`,
      // The policies that sampled the chains are those of the sets that their names begin with.
      model: { name: model?.name ?? 'unknown', digest: model?.digest ?? '', adapterSha256: null },
      ...{ run: runId, marks, cada: packageVersion(), library: record.library.sha256 },
    },
    counts: { requests: drafts.length + requests.length, samples: chains.length, drafts: drafts.length, dropped: {} },
    drafts,
  };
  return { file: parseDraftFile(JSON.stringify(file)), requests, skipped: left };
}
