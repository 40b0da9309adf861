/** Runs one workflow to its end: on the server that the environment names, or with a server and workers of this machine; tells how far it is. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { keepHistories } from '../../activities/histories.ts';
import { taskQueues, type RunProgress } from '../../activities/types.ts';
import type { ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import type { HistoryOwner } from '../../infra/artifacts/runs.ts';
import { cadaCache } from '../../infra/paths.ts';
import { connectClient, resolveTemporal, type TemporalEndpoint } from '../../infra/temporal/connection.ts';
import { startEmbeddedCluster, type EmbeddedCluster } from '../../workers/embedded.ts';
import { requireSharedStore } from '../../workers/sharedStore.ts';
import { progressQuery } from '../../workflows/messages.ts';

/** Where work is done, and whom it is told. */
export interface Place {
  /** Names the folder of logs and the database where the server is this machine's. */
  id: string;
  store: ArtifactStore;
  storeUri: string;
  home: string;
  signal: AbortSignal;
  report: (line: string) => void;
}

export interface Server {
  endpoint: TemporalEndpoint;
  /** It outlives this command. */
  external: boolean;
  /** Rejects when a worker of this machine can't be kept alive. */
  workerFailed?: Promise<never>;
}

export interface WorkflowRun<Input> extends Place {
  workflow: string;
  input: Input;
  summary: string;
}

/** Uses the server that the environment names, or one with workers that is started for this and stopped after it. */
export async function withServer<Outcome>(place: Place, use: (server: Server) => Promise<Outcome>): Promise<Outcome> {
  const { id, store, storeUri, home, signal, report } = place;
  const target = resolveTemporal(process.env);
  if (target.kind === 'external') {
    requireSharedStore(store.uri, target.address);
    return use({ endpoint: target, external: true });
  }
  let cluster: EmbeddedCluster | undefined;
  try {
    cluster = await startEmbeddedCluster({
      ...{ runId: id, storeUri, home, cache: cadaCache(), env: process.env, signal },
      report: (line, importance) => {
        if (importance !== 'routine') report(line);
      },
    });
    signal.throwIfAborted();
    return await use({ endpoint: cluster.server, external: false, workerFailed: cluster.failed });
  } finally {
    await cluster?.stop();
  }
}

/** An execution that is at work is followed; one that has ended is started anew, and finds what is done. */
export function runWorkflow<Input, Outcome>(run: WorkflowRun<Input>): Promise<Outcome> {
  return withServer(run, async ({ endpoint, workerFailed }) => {
    const connected = await connectClient(endpoint);
    try {
      const handle = await connected.client.workflow.start<(input: Input) => Promise<Outcome>>(run.workflow, {
        ...startOptions(run.id),
        args: [run.input],
        staticSummary: run.summary,
      });
      const outcome = await follow(connected.client, handle, run, workerFailed);
      await keepTold(connected.client, run);
      return outcome;
    } finally {
      await connected.close().catch(() => {});
    }
  });
}

/** Histories of work that has ended go to the store. That they could not be kept changes nothing about it: it is only told. */
export async function keepTold(
  client: Client,
  { id, store, report }: Pick<Place, 'id' | 'store' | 'report'>,
  owner: HistoryOwner = 'other work',
): Promise<void> {
  try {
    await keepHistories(client, store, id, owner);
  } catch (error) {
    report(`The histories of the workflows could not be kept in the store: ${(error as Error).message}`);
  }
}

/** Of a workflow that only one command starts, and any may join. */
export const startOptions = (workflowId: string) => ({
  workflowId,
  taskQueue: taskQueues.control,
  workflowIdConflictPolicy: 'USE_EXISTING' as const,
  workflowIdReusePolicy: 'ALLOW_DUPLICATE' as const,
});

const pollMs = 1000;
const lineMs = 5000;

async function follow<Input, Outcome>(
  client: Client,
  handle: WorkflowHandle<(input: Input) => Promise<Outcome>>,
  { signal, report }: Place,
  workerFailed: Promise<never> | undefined,
): Promise<Outcome> {
  const left = new AbortController();
  const outcome = client.connection.withAbortSignal(left.signal, () => handle.result());
  outcome.catch(() => {});
  let [told, toldAt] = ['', 0];
  try {
    for (;;) {
      const next = await Promise.race([
        outcome.then((value) => ({ value })),
        sleep(pollMs, undefined, { signal }),
        ...(workerFailed ? [workerFailed] : []),
      ]);
      if (next) return next.value;
      const progress = await client
        .withDeadline(Date.now() + 3 * pollMs, () => handle.query(progressQuery))
        .catch(() => undefined);
      if (!progress) continue;
      const line = lineOf(progress);
      if (line === told || (told.split(':')[0] === progress.stage && Date.now() - toldAt < lineMs)) continue;
      report(line);
      [told, toldAt] = [line, Date.now()];
    }
  } finally {
    left.abort();
  }
}

function lineOf({ stage, shardsDone, shardsTotal, tokensPerSecond }: RunProgress): string {
  const speed = tokensPerSecond === undefined ? '' : `, ${Math.round(tokensPerSecond)} tokens/s`;
  return shardsTotal === 0 ? stage : `${stage}: ${shardsDone} of ${shardsTotal} shards${speed}`;
}
