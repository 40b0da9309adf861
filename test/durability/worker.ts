/**
 * A worker as `cada worker` runs it, for these tests: it ends with the test, and waits a shorter time for the heartbeats of workers that died.
 * Arguments: which kind, and whether to keep the heartbeat timeouts as they are.
 */
import { fileURLToPath } from 'node:url';
import type { WorkerKind } from '../../activities/types.ts';
import { onParentExit } from '../../infra/processes/supervisedChild.ts';
import { main } from '../../workers/main.ts';

onParentExit(() => process.kill(process.pid, 'SIGKILL'));
const kind = process.argv[2] as WorkerKind;
const quick = fileURLToPath(new URL('./quickHeartbeats.ts', import.meta.url));
await main(kind, kind === 'control' ? { workflowInterceptors: [quick] } : {});
