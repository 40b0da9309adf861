import type { TemporalEndpoint } from './connection.ts';
import { EMBEDDED_NAMESPACE, isServing, readServerRecord } from './serverRecord.ts';

/** The embedded server that serves a run's database now, started by another process (`cada train` in another terminal); undefined when none does. */
export async function runningServer(
  databaseFile: string,
): Promise<(TemporalEndpoint & { uiAddress?: string }) | undefined> {
  const record = await readServerRecord(databaseFile);
  if (!record || !(await isServing(record))) return undefined;
  return {
    address: `127.0.0.1:${record.port}`,
    namespace: EMBEDDED_NAMESPACE,
    ...(record.uiPort !== undefined && { uiAddress: `http://127.0.0.1:${record.uiPort}` }),
  };
}
