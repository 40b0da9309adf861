/** Writes what a run has made (report, adapter, merged model) below its folder in CADA_HOME; files that are there already are kept. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { FolderManifest } from '../../activities/plans.ts';
import { readJson } from '../../activities/inputs.ts';
import { openStore } from '../../infra/artifacts/artifactStore.ts';
import { loadRun } from '../../infra/artifacts/runs.ts';
import { runFolders } from '../../infra/paths.ts';
import type { RunRecord } from '../../activities/types.ts';
import { badInput } from '../errors.ts';
import type { DeliveredFiles, RunRequest } from '../operations.ts';

export async function deliver({ runId, storeUri, home }: Omit<RunRequest, 'signal'>): Promise<DeliveredFiles> {
  const store = await openStore(storeUri);
  const record = (await loadRun<RunRecord>(store, runId))?.record;
  if (!record) throw badInput(`There is no run "${runId}" in ${store.uri}.`, '`cada runs` lists them.');
  const { root } = runFolders(home, runId);
  const delivered: DeliveredFiles = {};
  if (record.report) {
    delivered.report = join(root, 'report.html');
    await store.fetchToFile(record.report, delivered.report);
  }
  if (record.exported) {
    const { files } = await readJson<FolderManifest>(store, record.exported);
    // The stage's own names ('adapter/...', 'merged/...'), and nothing that climbs out of the folder.
    for (const { path, artifact } of files) {
      if (!/^(adapter|merged)\/[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(path)) continue;
      await store.fetchToFile(artifact, join(root, path));
    }
    // What was promoted once may have trained on since.
    for (const folder of ['adapter', 'merged'])
      if (!files.some(({ path }) => path === `${folder}/promoted.json`))
        await rm(join(root, folder, 'promoted.json'), { force: true });
    // Where every weight was trained there is no adapter.
    if (files.some(({ path }) => path.startsWith('adapter/'))) delivered.adapter = join(root, 'adapter');
    delivered.merged = join(root, 'merged');
  }
  return delivered;
}
