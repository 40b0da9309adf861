/** The engine of a gpu worker: the one child of it that computes. Linux only (`/proc`). */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** Undefined while the worker has none: it is started by the first call to it. */
export async function engineOf(workerPid: number | undefined): Promise<number | undefined> {
  if (workerPid === undefined) return undefined;
  const children = await readFile(`/proc/${workerPid}/task/${workerPid}/children`, 'utf8').catch(() => '');
  for (const pid of children.split(' ').filter((text) => text !== '')) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (command.includes('engineProcess')) return Number(pid);
  }
  return undefined;
}

/** Looked for at short intervals, so that it is still at work when it is found. */
export async function startedEngineOf(workerPid: number): Promise<number> {
  for (let tries = 0; tries < 1000; tries++) {
    const pid = await engineOf(workerPid);
    if (pid !== undefined) return pid;
    await sleep(5);
  }
  throw new Error(`worker ${workerPid} has no engine process`);
}
