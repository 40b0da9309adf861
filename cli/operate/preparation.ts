/** How far the download of a run's model is, by the heartbeat of the activity that prepares it. */
import { defaultPayloadConverter, type WorkflowHandle } from '@temporalio/client';
import { decryptPayload, payloadKeys } from '../../infra/temporal/payloadCodec.ts';
import type { ModelProgress } from '../../infra/modelSource/resolveModel.ts';
import type { ProgressSnapshot } from '../progress/snapshot.ts';

/** The snapshot of a run that prepares its model, with the megabytes of a download under way. */
export async function withDownload(snapshot: ProgressSnapshot, handle: WorkflowHandle): Promise<ProgressSnapshot> {
  if (snapshot.stage !== 'prepare') return snapshot;
  const description = await handle.describe().catch(() => undefined);
  const activity = description?.raw.pendingActivities?.find(
    ({ activityType }) => activityType?.name === 'prepareModel',
  );
  const payload = activity?.heartbeatDetails?.payloads?.[0];
  if (!payload) return snapshot;
  const progress: unknown = defaultPayloadConverter.fromPayload(decryptPayload(payload, payloadKeys(process.env)));
  if (!isDownload(progress)) return snapshot;
  return {
    ...snapshot,
    stage: `prepare: ${progress.phase} ${progress.file}`,
    unit: 'MB',
    shardsDone: Math.floor(progress.bytes / 1e6),
    shardsTotal: Math.ceil(progress.totalBytes / 1e6),
  };
}

function isDownload(progress: unknown): progress is ModelProgress {
  const { phase, totalBytes } = (progress ?? {}) as Partial<ModelProgress>;
  return (phase === 'download' || phase === 'unpack') && typeof totalBytes === 'number' && totalBytes > 0;
}
