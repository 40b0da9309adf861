/** Care of the artifact store: whether a run's artifacts are whole, and what nobody needs any more. */
import { openStore } from '../../infra/artifacts/artifactStore.ts';
import { listDraftings } from '../../infra/artifacts/draftings.ts';
import { findGarbage, removeGarbage } from '../../infra/artifacts/garbage.ts';
import { verifyRun } from '../../infra/artifacts/verify.ts';
import type { Verification } from '../../infra/artifacts/verify.ts';
import { badInput } from '../errors.ts';
import type { CadaOperations, CollectedGarbage, GarbageRequest } from '../operations.ts';
import { hasLiveServer } from '../runs.ts';

export async function verify({
  runId,
  storeUri,
  ...options
}: Parameters<CadaOperations['verify']>[0]): Promise<Verification> {
  return verifyRun(await openStore(storeUri), runId, options);
}

export async function collectGarbage(request: GarbageRequest): Promise<CollectedGarbage> {
  const { storeUri, home, remove, onProgress, ...options } = request;
  const store = await openStore(storeUri);
  const present: string[] = [];
  for await (const runId of store.listFolders('runs/')) present.push(runId);
  for await (const studyId of store.listFolders('studies/')) present.push(studyId);
  present.push(...(await listDraftings(store)));
  for (const runId of request.forget) {
    if (!present.includes(runId)) {
      throw badInput(
        `There is no run, study or drafting "${runId}" in ${store.uri}.`,
        'Write its id in full; `cada runs` lists runs, a file of drafts names its drafting.',
      );
    }
    if (await hasLiveServer(home, runId)) {
      throw badInput(`Run ${runId} is at work.`, 'Stop it first (Ctrl-C in its terminal), then forget it.');
    }
  }
  const garbage = await findGarbage(store, options);
  if (!remove || garbage.refusals.length > 0) return { garbage };
  return { garbage, removed: await removeGarbage(store, garbage, onProgress) };
}
