/** Starts a run on a cluster as its user would, and waits until it has ended. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { tinyConfiguration } from '../workflows/cluster.ts';
import { writeTinyChainModel } from '../models/tinyChainModel.ts';
import { runNode } from '../cli/runCommand.ts';
import type { RunRecord } from '../../activities/types.ts';
import { loadRun } from '../../infra/artifacts/runs.ts';
import type { Cluster } from './cluster.ts';
import type { LedgerLine } from './logFollower.ts';

export interface Ending {
  /** `hung`: nothing happened for too long, or it took too long. */
  state: RunRecord['state'] | 'hung';
  cause?: string;
  seconds: number;
}

/** Writes the tiny model and a configuration into `folder`; every run of it has one run id, so that whole runs can be compared. */
export async function writeConfiguration(folder: string, changes: Record<string, unknown> = {}): Promise<string> {
  await mkdir(folder, { recursive: true });
  const model = join(folder, 'model');
  await writeTinyChainModel(model);
  const file = join(folder, 'run.yaml');
  // JSON is YAML.
  const iteration = {
    count: 3,
    requests: { harmful: 3, plain: 2, lookAlike: 1 },
    samplesPerRequest: 4,
    learningRate: 3e-4,
  };
  const evaluation = {
    requests: { harmful: 4, plain: 3, lookAlike: 3 },
    probe: { harmful: 2, plain: 2, lookAlike: 0 },
    bootstrapSamples: 200,
  };
  await writeFile(file, JSON.stringify(tinyConfiguration(model, { iteration, evaluation, ...changes })));
  return file;
}

/** `cada train --detach`, again where the servers are just away; the run's id. */
export async function startRun(cluster: Cluster, configurationFile: string, more: string[] = []): Promise<string> {
  const args = [resolve('cli/cada.js'), 'train', configurationFile, '--detach', ...more];
  const { stdout, stderr, code } = await runNode(args, { cwd: cluster.folder, env: cluster.environment('laptop') });
  const runId = /^run (\S+)$/m.exec(stdout)?.[1];
  if (code !== 0 || !runId) throw new Error(`cada train --detach ended with ${code}: ${stdout}${stderr}`);
  return runId;
}

/** Nothing in any ledger for so long: the run hangs. Longer than the longest pause between retries and a heartbeat timeout together, and than a busy machine takes to start processes. */
const silenceMs = 300_000;

export async function untilEnded(cluster: Cluster, runId: string, limitMs = 1_800_000): Promise<Ending> {
  const startedAt = Date.now();
  const seconds = (): number => (Date.now() - startedAt) / 1000;
  let lines = -1;
  let lastChange = Date.now();
  while (Date.now() - startedAt < limitMs) {
    const record = await recordSoon(cluster, runId);
    if (record && record.state !== 'running' && record.state !== 'paused') {
      return { state: record.state, seconds: seconds(), ...(record.cause ? { cause: record.cause } : {}) };
    }
    const now = ledgerOf(cluster).length;
    if (now !== lines) {
      lines = now;
      lastChange = Date.now();
    }
    if (Date.now() - lastChange > silenceMs) {
      const at = record ? `${record.stage}, iteration ${record.iteration}` : 'without a record';
      return { state: 'hung', cause: `nothing for ${silenceMs / 1000} s, at ${at}`, seconds: seconds() };
    }
    await sleep(250);
  }
  return { state: 'hung', cause: `not done after ${limitMs / 1000} s`, seconds: seconds() };
}

/** Undefined where the store does not answer soon: its server may be stopped just now. */
async function recordSoon({ store }: Cluster, runId: string): Promise<RunRecord | undefined> {
  const reading = loadRun<RunRecord>(store, runId).then(
    (run) => run?.record,
    () => undefined,
  );
  return Promise.race([reading, sleep(3_000, undefined)]);
}

/** Of all workers, by time. */
export function ledgerOf(cluster: Cluster): LedgerLine[] {
  for (const { log } of cluster.machines) log.read();
  return cluster.machines.flatMap(({ log }) => log.ledger).sort((a, b) => (a.time < b.time ? -1 : 1));
}
