/** The time left of a whole run: what was planned for the stages to come, scaled by how the finished ones went. */
import type { PlannedStage } from '../../alignment/plan/plannedStage.ts';
import { recordedStage } from '../stageOrder.ts';
import type { ProgressSnapshot } from './snapshot.ts';

/** Shorter stages say little about a machine's speed. */
const tellingSeconds = 5;

/** A stage that took less than this share of its plan was found in the store, at least in parts. */
const foundShare = 0.15;

/** Takes snapshots, gives the seconds left for each; undefined where the stage is not in the plan. `nowSeconds` is any clock that does not go back. */
export function createRunTimeLeft(
  planned: readonly PlannedStage[],
): (snapshot: ProgressSnapshot, nowSeconds: number) => number | undefined {
  let current = '';
  let since = 0;
  return (snapshot, nowSeconds) => {
    // 'iteration 2: probe: generate chains' belongs to the stage 'iteration 2'.
    const stage = snapshot.stage.split(':', 1)[0] ?? '';
    if (stage !== current) [current, since] = [stage, nowSeconds];
    const place = planned.findIndex((one) => one.stage === recordedStage(stage));
    const here = planned[place];
    if (!here || snapshot.state !== 'running') return undefined;

    const pace = paceOf(planned, snapshot);
    const timesDone = here.times > 1 ? Math.max(snapshot.iteration - 1, 0) : 0;
    const once = (here.seconds / here.times) * pace;
    const later = planned.slice(place + 1).reduce((sum, { seconds }) => sum + seconds, 0) * pace;
    return later + once * Math.max(here.times - timesDone - 1, 0) + Math.max(once - (nowSeconds - since), 0);
  };
}

/** Time spent over time planned, of the finished stages that lasted; 1 before there are any. */
function paceOf(planned: readonly PlannedStage[], { finishedStages }: ProgressSnapshot): number {
  let [spentSeconds, plannedSeconds] = [0, 0];
  for (const { stage, seconds, cached } of finishedStages) {
    const plan = planned.find((one) => one.stage === recordedStage(stage));
    if (!plan || cached) continue;
    const once = plan.seconds / plan.times;
    if (once < tellingSeconds || seconds < once * foundShare) continue;
    spentSeconds += seconds;
    plannedSeconds += once;
  }
  return plannedSeconds === 0 ? 1 : spentSeconds / plannedSeconds;
}
