/** Runs one workflow to its end: on the server that the environment names, or with a server and workers of this machine; tells how far it is. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { taskQueues, type RunProgress } from '../../activities/types.ts';
import type { ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { cadaCache } from '../../infra/paths.ts';
import { connectClient, resolveTemporal, type TemporalEndpoint } from '../../infra/temporal/connection.ts';
import { startEmbeddedCluster, type EmbeddedCluster } from '../../workers/embedded.ts';
import { requireSharedStore } from '../../workers/sharedStore.ts';
import { progressQuery } from '../../workflows/messages.ts';

export interface WorkflowRun<Input> {
  workflow: string;
  /** Also names its folder of logs and its database where the server is this machine's. */
  id: string;
  input: Input;
  summary: string;
  store: ArtifactStore;
  storeUri: string;
  home: string;
  signal: AbortSignal;
  report: (line: string) => void;
}

/** An execution that is at work is followed; one that has ended is started anew, and finds what is done. */
export async function runWorkflow<Input, Outcome>(run: WorkflowRun<Input>): Promise<Outcome> {
  const target = resolveTemporal(process.env);
  if (target.kind === 'external') {
    requireSharedStore(run.store.uri, target.address);
    return onServer(target, run, undefined);
  }
  let cluster: EmbeddedCluster | undefined;
  try {
    cluster = await startEmbeddedCluster({
      ...{ runId: run.id, storeUri: run.storeUri, home: run.home, cache: cadaCache(), env: process.env },
      signal: run.signal,
      report: (line, importance) => {
        if (importance !== 'routine') run.report(line);
      },
    });
    run.signal.throwIfAborted();
    return await onServer(cluster.server, run, cluster.failed);
  } finally {
    await cluster?.stop();
  }
}

async function onServer<Input, Outcome>(
  endpoint: TemporalEndpoint,
  run: WorkflowRun<Input>,
  workerFailed: Promise<never> | undefined,
): Promise<Outcome> {
  const connected = await connectClient(endpoint);
  try {
    const handle = await connected.client.workflow.start<(input: Input) => Promise<Outcome>>(run.workflow, {
      workflowId: run.id,
      taskQueue: taskQueues.control,
      args: [run.input],
      workflowIdConflictPolicy: 'USE_EXISTING',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      staticSummary: run.summary,
    });
    return await follow(connected.client, handle, run, workerFailed);
  } finally {
    await connected.close().catch(() => {});
  }
}

const pollMs = 1000;
const lineMs = 5000;

async function follow<Input, Outcome>(
  client: Client,
  handle: WorkflowHandle<(input: Input) => Promise<Outcome>>,
  { signal, report }: Pick<WorkflowRun<Input>, 'signal' | 'report'>,
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
