import { readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isPortFree } from './freePorts.ts';

/** `server.json` beside an embedded server's database: what the next start reuses, and who serves it now. */
export interface ServerRecord {
  port: number;
  /** Absent without a web UI. */
  uiPort?: number;
  /** Partitions that task queues are read from; absent, as many as a server has by itself. */
  readPartitions?: 1;
  pid: number;
  /** The process that started it and ends it. */
  ownerPid: number;
}

/** The namespace of every embedded server. */
export const EMBEDDED_NAMESPACE = 'default';

export async function readServerRecord(databaseFile: string): Promise<ServerRecord | undefined> {
  try {
    const record = JSON.parse(await readFile(recordFile(databaseFile), 'utf8')) as Partial<ServerRecord>;
    if (!Number.isInteger(record.port) || !Number.isInteger(record.pid) || !Number.isInteger(record.ownerPid))
      return undefined;
    return record as ServerRecord;
  } catch {
    // No record, or a torn one: nothing is known.
    return undefined;
  }
}

export async function writeServerRecord(databaseFile: string, record: ServerRecord): Promise<void> {
  const file = recordFile(databaseFile);
  await writeFile(`${file}.${process.pid}`, `${JSON.stringify(record)}\n`);
  await rename(`${file}.${process.pid}`, file);
}

/** Whether the recorded process still serves. Both signs together: a pid can be reused by an unrelated program, and a port too. */
export async function isServing({ pid, port }: ServerRecord): Promise<boolean> {
  return isAlive(pid) && !(await isPortFree(port));
}

function recordFile(databaseFile: string): string {
  return join(dirname(databaseFile), 'server.json');
}

/** Whether a process of this id exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
