/** Brings what a run has made out of the store and into its folder, as files with names that people and programs look for. */
import { existsSync } from 'node:fs';
import { isAbsolute, join, normalize } from 'node:path';
import type { FolderManifest } from '../activities/plans.ts';
import { runFolders } from '../infra/paths.ts';
import { readJsonArtifact } from './runs.ts';
import type { FoundRun } from './runs.ts';

export interface DeliveredFiles {
  /** The self-contained HTML file. */
  report?: string;
  /** Folder with the exported PEFT adapter and the merged model. */
  exported?: string;
  /** The file in it whose digest names the adapter. */
  adapter?: string;
}

const reportFile = (home: string, runId: string): string => join(runFolders(home, runId).root, 'report.html');
const ADAPTER_FILE = join('adapter', 'adapter_model.safetensors');
const exportFolder = (home: string, runId: string): string => join(runFolders(home, runId).root, 'export');

/** Writes report and export of a run below its folder in `CADA_HOME`; files that are right already are kept. */
export async function deliver(home: string, { store, runId, record }: FoundRun): Promise<DeliveredFiles> {
  const delivered: DeliveredFiles = {};
  if (record.report) {
    delivered.report = reportFile(home, runId);
    await store.fetchToFile(record.report, delivered.report);
  }
  if (record.exported) {
    delivered.exported = exportFolder(home, runId);
    const { files } = await readJsonArtifact<FolderManifest>(store, record.exported);
    for (const { path, artifact } of files) {
      const inside = normalize(path);
      if (isAbsolute(inside) || inside.startsWith('..'))
        throw new Error(`the export of ${runId} names a file outside its folder: ${path}`);
      await store.fetchToFile(artifact, join(delivered.exported, inside));
    }
    delivered.adapter = join(delivered.exported, ADAPTER_FILE);
  }
  return delivered;
}

/** What `deliver` has written before, without looking into the store. */
export function deliveredBefore(home: string, runId: string): DeliveredFiles {
  const [report, exported] = [reportFile(home, runId), exportFolder(home, runId)];
  const adapter = join(exported, ADAPTER_FILE);
  return {
    ...(existsSync(report) ? { report } : {}),
    ...(existsSync(adapter) ? { exported, adapter } : {}),
  };
}
