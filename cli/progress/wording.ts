/** How the parts of a snapshot are put into words, for the live display and for plain lines alike. */
import prettyMilliseconds from 'pretty-ms';
import { escapeForTerminal } from '../../infra/logging/escape.ts';
import type { FinishedStage, ProgressSnapshot } from './snapshot.ts';

export function duration(seconds: number): string {
  if (seconds < 1) return `${seconds.toFixed(1)}s`;
  return prettyMilliseconds(Math.round(seconds) * 1000, { secondsDecimalDigits: 0 });
}

/** `warm start  shards 3/12  261 tok/s  reward 0.42  about 4m 10s left`: what is unknown is left out. */
export function describeWork(snapshot: ProgressSnapshot, pace?: Pace): string {
  const parts = [snapshot.stage];
  if (snapshot.iterations > 0 && snapshot.iteration > 0 && !snapshot.stage.startsWith('iteration')) {
    parts.push(`iteration ${snapshot.iteration}/${snapshot.iterations}`);
  }
  if (snapshot.shardsTotal > 0)
    parts.push(`${snapshot.unit ?? 'shards'} ${snapshot.shardsDone}/${snapshot.shardsTotal}`);
  if (snapshot.tokensPerSecond !== undefined) parts.push(`${Math.round(snapshot.tokensPerSecond)} tok/s`);
  if (snapshot.meanReward !== undefined) parts.push(`reward ${snapshot.meanReward.toFixed(2)}`);
  const left = timeLeft(snapshot, pace);
  if (left !== undefined) parts.push(left);
  return parts.map(escapeForTerminal).join('  ');
}

/** What was seen of the stage at work: a watcher may have come in its middle. */
export interface Pace {
  seconds: number;
  shards: number;
}

/** The run's time left where it is known; else this stage's, by the pace seen so far. */
export function timeLeft(snapshot: ProgressSnapshot, pace?: Pace): string | undefined {
  if (snapshot.state !== 'running') return undefined;
  if (snapshot.secondsLeft !== undefined) return `about ${duration(snapshot.secondsLeft)} left`;
  const left = snapshot.shardsTotal - snapshot.shardsDone;
  if (!pace || pace.shards <= 0 || left <= 0) return undefined;
  return `about ${duration((pace.seconds / pace.shards) * left)} left of this stage`;
}

/** Follows the stage at work; `nowSeconds` is any clock that does not go back. */
export function createPace(): (snapshot: ProgressSnapshot, nowSeconds: number) => Pace {
  let stage = '';
  let since = 0;
  let shardsThen = 0;
  return (snapshot, nowSeconds) => {
    const here = `${snapshot.iteration} ${snapshot.stage}`;
    // Fewer shards than before: the stage has begun again.
    if (here !== stage || snapshot.shardsDone < shardsThen) {
      [stage, since, shardsThen] = [here, nowSeconds, snapshot.shardsDone];
    }
    return { seconds: nowSeconds - since, shards: snapshot.shardsDone - shardsThen };
  };
}

/** Of a stage's figures those that a reader looks for first. */
const tellingFigures = [
  ...['warm_start/kept', 'format', 'refusal/harmful', 'refusal/plain', 'refusal/look-alike', 'reward', 'kl', 'loss'],
  ...['probe/format', 'probe/refusal/harmful', 'probe/refusal/plain'],
];
/** With what is put before it, a line fits 80 columns. */
const longestLine = 73;

/** `warm start  2m 5s  warm_start/kept 130  loss 1.21`, or `warm start  found done (took 2m 5s)`. */
export function describeFinishedStage({ stage, seconds, cached, figures = {} }: FinishedStage): string {
  let line = escapeForTerminal(`${stage}  ${cached ? `found done (took ${duration(seconds)})` : duration(seconds)}`);
  for (const name of tellingFigures) {
    const value = figures[name];
    const longer = value === undefined ? line : `${line}  ${name} ${formatFigure(value)}`;
    if (longer.length <= longestLine) line = longer;
  }
  return line;
}

/** Three significant digits, whole numbers as they are. */
export function formatFigure(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
}

/** Of a failure's text; the logs have the stack. */
export const firstLine = (text: string): string => text.split('\n', 1)[0] ?? '';

/** What a run that does not run is doing; undefined while it runs. */
export function describeState({ state, cause }: ProgressSnapshot): string | undefined {
  if (state === 'running') return undefined;
  const because = cause ? `: ${escapeForTerminal(firstLine(cause))}` : '';
  if (state === 'awaiting approval') return `awaits approval${because}`;
  return state === 'waiting' ? `waits for its operator${because}` : `${state}${because}`;
}
