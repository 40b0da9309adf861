/** Progress for pipes and log files: a line when something changed, and no more than one every few seconds for mere counting. */
import { escapeForTerminal } from '../../infra/logging/escape.ts';
import { finishedSince } from './snapshot.ts';
import type { FinishedStage, ProgressSnapshot } from './snapshot.ts';
import { createPace, describeFinishedStage, describeState, describeWork } from './wording.ts';

const SECONDS_BETWEEN_LINES = 5;

/** Takes snapshots, gives the lines to print for each. `nowSeconds` is any clock that does not go back. */
export function createPlainLines(): (snapshot: ProgressSnapshot, nowSeconds: number) => string[] {
  let lastFinished: FinishedStage | undefined;
  let state: string | undefined;
  let notes: string[] = [];
  let stage = '';
  const paceOf = createPace();
  let lastWork = '';
  let lastAt = -Infinity;

  return (snapshot, nowSeconds) => {
    const lines: string[] = [];
    const ended = finishedSince(lastFinished, snapshot.finishedStages);
    lastFinished = snapshot.finishedStages.at(-1);
    lines.push(...ended.map((done) => `${done.cached ? '' : 'done: '}${describeFinishedStage(done)}`));

    const stateNow = describeState(snapshot);
    if (stateNow !== state && stateNow !== undefined) lines.push(`run ${snapshot.runId}: ${stateNow}`);
    state = stateNow;

    lines.push(...snapshot.notes.filter((note) => !notes.includes(note)).map(escapeForTerminal));
    notes = snapshot.notes;

    // Between its end and the next stage's beginning a stage has nothing to count.
    const over = snapshot.stage === lastFinished?.stage;
    const newStage = snapshot.stage !== stage;
    stage = snapshot.stage;
    const pace = paceOf(snapshot, nowSeconds);
    const work = countedWork(snapshot);
    const due = newStage || nowSeconds - lastAt >= SECONDS_BETWEEN_LINES;
    if (snapshot.state === 'running' && !over && work !== lastWork && due) {
      lines.push(describeWork(snapshot, pace));
      [lastWork, lastAt] = [work, nowSeconds];
    }
    return lines;
  };
}

/** What counts as a change: not the speed or the time left, which flicker. */
function countedWork({ stage, iteration, shardsDone, shardsTotal }: ProgressSnapshot): string {
  return JSON.stringify([stage, iteration, shardsDone, shardsTotal]);
}
