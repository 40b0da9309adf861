/** Shows a run's progress on a stream: redrawn on a terminal, plain lines elsewhere. */
import { createLogUpdate } from 'log-update';
import picocolors from 'picocolors';
import { renderFrame } from './liveFrame.ts';
import { createPlainLines } from './plainLines.ts';
import { finishedSince } from './snapshot.ts';
import type { FinishedStage, ProgressSnapshot } from './snapshot.ts';
import { createPace, describeFinishedStage, describeState } from './wording.ts';

export interface ProgressDisplay {
  update(snapshot: ProgressSnapshot): void;
  /** A line that stays, such as a fallback that was taken. */
  line(text: string): void;
  /** Shown at once and kept in view on a terminal. */
  showUiAddress(address: string): void;
  /** Leaves the terminal tidy; what is still at work stays as it was drawn last. Nothing is drawn afterwards. */
  close(): void;
}

/** @param now milliseconds of a clock that does not go back. */
export function openProgressDisplay(
  stream: NodeJS.WriteStream,
  now: () => number = () => performance.now(),
): ProgressDisplay {
  // Some pseudo-terminals (containers) have no size: nothing can be redrawn there.
  const canRedraw = stream.isTTY && stream.rows > 0 && process.env.TERM !== 'dumb';
  return canRedraw ? liveDisplay(stream, now) : plainDisplay(stream, now);
}

function plainDisplay(stream: NodeJS.WritableStream, now: () => number): ProgressDisplay {
  const linesFor = createPlainLines();
  const line = (text: string): void => void stream.write(`${text}\n`);
  return {
    update: (snapshot) => linesFor(snapshot, now() / 1000).forEach(line),
    line,
    showUiAddress: (address) => line(`Temporal UI: ${address}`),
    close: () => {},
  };
}

function liveDisplay(stream: NodeJS.WriteStream, now: () => number): ProgressDisplay {
  const draw = createLogUpdate(stream, { showCursor: true });
  const colors = picocolors.createColors(picocolors.isColorSupported);
  const startedAt = now();
  let uiAddress: string | undefined;
  let lastFinished: FinishedStage | undefined;
  const paceOf = createPace();
  let last: ProgressSnapshot | undefined;
  let closed = false;

  const redraw = (): void => {
    if (!last || closed) return;
    const context = {
      columns: stream.columns || 80,
      elapsedSeconds: (now() - startedAt) / 1000,
      pace: paceOf(last, now() / 1000),
      uiAddress,
      colors,
    };
    draw(renderFrame(last, context).join('\n'));
  };
  const line = (text: string): void => {
    if (!closed) draw.clear();
    stream.write(`${text}\n`);
    redraw();
  };
  // The clock goes on while a long shard is computed.
  const ticker = setInterval(redraw, 1000);
  ticker.unref();

  return {
    update: (snapshot) => {
      if (closed) return;
      const ended = finishedSince(lastFinished, snapshot.finishedStages);
      lastFinished = snapshot.finishedStages.at(-1);
      last = snapshot;
      for (const done of ended) line(`${colors.green('✓')} ${describeFinishedStage(done)}`);
      redraw();
    },
    line,
    showUiAddress: (address) => {
      uiAddress = address;
      line(`Temporal UI: ${address}`);
    },
    close: () => {
      if (closed) return;
      clearInterval(ticker);
      // What is over is told by the lines above.
      if (last && describeState(last) === undefined) redraw();
      else draw.clear();
      closed = true;
      draw.done();
    },
  };
}
