/** Ends the process when a reader hangs without giving the event loop back: no timer of the process itself would fire then. */
import { Worker } from 'node:worker_threads';

export interface Watchdog {
  expectWithin(what: string): void;
  done(): void;
  stop(): Promise<unknown>;
}

const script = `
const { parentPort, workerData } = require('node:worker_threads');
let timer;
parentPort.on('message', (what) => {
  clearTimeout(timer);
  if (what === null) return;
  timer = setTimeout(() => {
    require('node:fs').writeSync(2, 'hangs: ' + what + '\\n');
    process.kill(process.pid, 'SIGKILL');
  }, workerData);
});
`;

export function startWatchdog(milliseconds: number): Watchdog {
  const worker = new Worker(script, { eval: true, workerData: milliseconds });
  worker.unref();
  return {
    expectWithin: (what) => worker.postMessage(what),
    done: () => worker.postMessage(null),
    stop: () => worker.terminate(),
  };
}
