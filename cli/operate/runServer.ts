/** The Temporal server that serves a run now: the configured one, or one that a command in another terminal has started. */
import type { WorkflowHandle } from '@temporalio/client';
import { listRunFolders, runFolders } from '../../infra/paths.ts';
import {
  connectClient,
  resolveTemporal,
  type ConnectedClient,
  type TemporalEndpoint,
} from '../../infra/temporal/connection.ts';
import { runningServer } from '../../infra/temporal/runningServer.ts';
import { badEnvironment } from '../errors.ts';
import type { RunRequest } from '../operations.ts';

const answersWithinMs = 3_000;

/** Calls `use` with the run's workflow on the configured server, or on the embedded one of a run, or of its study, at work in another terminal. */
export async function withRun<T>(
  request: RunRequest,
  use: (connected: ConnectedClient, handle: WorkflowHandle) => Promise<T>,
): Promise<T> {
  const endpoint = await endpointOf(request);
  if (!endpoint) {
    throw badEnvironment(
      `No Temporal server is up for run ${request.runId}.`,
      'Go on with `cada train --resume` (a study: with `cada compare`), or set TEMPORAL_ADDRESS.',
    );
  }
  const connected = await connectClient(endpoint, answersWithinMs);
  try {
    return await use(connected, connected.client.workflow.getHandle(request.runId));
  } finally {
    await connected.close();
  }
}

/** An embedded server lies beside its database, in the run's own folder; that of a run which is a unit of a study is in the study's. */
export async function endpointOf({
  home,
  runId,
}: Pick<RunRequest, 'home' | 'runId'>): Promise<TemporalEndpoint | undefined> {
  const target = resolveTemporal(process.env);
  if (target.kind === 'external') return target;
  return (await runningServer(runFolders(home, runId).temporalDatabase)) ?? serverOfStudy(home, runId);
}

/** Whose run it is nobody has written down: the servers that are up are asked. They are few, most folders are of work that has ended. */
async function serverOfStudy(home: string, runId: string): Promise<TemporalEndpoint | undefined> {
  for (const name of await listRunFolders(home)) {
    if (name === runId) continue;
    const endpoint = await runningServer(runFolders(home, name).temporalDatabase);
    if (endpoint && (await isAtWorkOn(endpoint, runId))) return endpoint;
  }
  return undefined;
}

async function isAtWorkOn(endpoint: TemporalEndpoint, runId: string): Promise<boolean> {
  const connected = await connectClient(endpoint, answersWithinMs).catch(() => undefined);
  if (!connected) return false;
  try {
    const { client } = connected;
    const { status } = await client.withDeadline(Date.now() + answersWithinMs, () =>
      client.workflow.getHandle(runId).describe(),
    );
    return status.name === 'RUNNING';
  } catch {
    // It knows no such run, or is just ending.
    return false;
  } finally {
    await connected.close();
  }
}
