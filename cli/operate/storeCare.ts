/** Care of the artifact store: whether a run's artifacts are whole, and what nobody needs any more. */
import { openStore } from '../../infra/artifacts/artifactStore.ts';
import { findGarbage, removeGarbage } from '../../infra/artifacts/garbage.ts';
import { listOtherWork } from '../../infra/artifacts/otherWork.ts';
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
  const present = new Set<string>();
  for await (const runId of store.listFolders('runs/')) present.add(runId);
  for await (const { id } of listOtherWork(store)) present.add(id);
  for (const id of request.forget) {
    if (!present.has(id)) {
      throw badInput(
        `There is no run, study, evaluation or drafting "${id}" in ${store.uri}.`,
        'Write its id in full; `cada gc` lists what there is.',
      );
    }
    if (await hasLiveServer(home, id)) {
      throw badInput(`${id} is at work.`, 'Stop it first (Ctrl-C in its terminal), then forget it.');
    }
  }
  const garbage = await findGarbage(store, options);
  if (!remove || garbage.refusals.length > 0) return { garbage };
  return { garbage, removed: await removeGarbage(store, garbage, onProgress) };
}
