/**
 * The engine's own process: ONNX Runtime blocks the event loop while it computes and can crash natively, so it runs apart from the worker.
 * Started by engineClient.ts with an IPC channel; argument: the engine's settings as JSON. Ends with its parent.
 */
import type { EngineProgress, EngineSettings, OnProgress } from '../policy.ts';
import { EngineError } from '../policy.ts';
import { resolvedDevice } from '../session/device.ts';
import type { CallMessage, ErrorMessage, ReplyMessage } from './messages.ts';
import { engineVerbs } from './verbs.ts';

/** Least time between two progress messages of a call; a change of phase and the last one are always sent. */
const PROGRESS_INTERVAL_MS = 100;

const settings = JSON.parse(process.argv[2]!) as EngineSettings;
const verbs = engineVerbs(settings);
let previous: Promise<void> = Promise.resolve();

process.on('message', (message: CallMessage) => {
  previous = previous.then(() => serve(message));
});
process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole process group: the parent decides when the engine ends.
process.on('SIGINT', () => undefined);

async function serve({ call, verb, argument }: CallMessage): Promise<void> {
  const serveVerb = verbs[verb] as (argument: unknown, onProgress: OnProgress) => Promise<unknown>;
  try {
    const result = await serveVerb(
      argument,
      throttled((progress) => reply({ call, progress })),
    );
    const device = resolvedDevice(settings);
    reply({ call, result, peakMemoryBytes: peakMemoryBytes(), ...(device ? { device } : {}) });
  } catch (error) {
    reply({ call, error: describeError(error), peakMemoryBytes: peakMemoryBytes() });
  }
}

/** maxRSS is in kilobytes. */
const peakMemoryBytes = () => process.resourceUsage().maxRSS * 1024;

function reply(message: ReplyMessage): void {
  if (process.connected) process.send!(message);
}

function throttled(send: OnProgress): OnProgress {
  let last: { time: number; progress: EngineProgress } | undefined;
  return (progress) => {
    const time = performance.now();
    const due =
      !last ||
      time - last.time >= PROGRESS_INTERVAL_MS ||
      progress.phase !== last.progress.phase ||
      progress.done === progress.total;
    if (!due) return;
    last = { time, progress };
    send(progress);
  };
}

/** An error that is none of ours (a full disk, a bug) says nothing about the input: it counts as a crash, which is retried. */
function describeError(error: unknown): ErrorMessage['error'] {
  if (error instanceof EngineError)
    return { kind: error.kind, message: error.message, ...(error.stack ? { stack: error.stack } : {}) };
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  const kind = /bad_alloc|allocation failed|out of memory|ENOMEM/i.test(message) ? 'outOfMemory' : 'crashed';
  return { kind, message, ...(stack ? { stack } : {}) };
}
