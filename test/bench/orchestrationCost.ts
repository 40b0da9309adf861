/** What orchestration costs a run, out of the histories of its workflows: the time in which no stage was at work. */
import type { HistoryJson } from '../workflows/historyEvents.ts';

export interface OrchestrationCost {
  /** `warm-start`, `iteration 3`, ...; `whole run` is the last. */
  name: string;
  wallSeconds: number;
  /** At least one stage was at work on some worker; stages include reading and publishing their artifacts. */
  stageSeconds: number;
}

/** Activities that only keep records or pass messages on: orchestration, not stages. */
const bookkeeping = new Set([
  'saveRun',
  'recordIteration',
  'changeCourse',
  'skipBackOff',
  'requestCancellation',
  'archiveHistories',
]);

/** Milliseconds of the clock. */
interface Interval {
  from: number;
  to: number;
}

/**
 * @param run histories of the run's own workflow, in order: more than one where it continued as new.
 * @param children histories of its iterations, evaluations and warm start.
 * @returns each child from the moment it was asked for to the next one (so what happens between two iterations belongs to the earlier one), then the whole run.
 */
export function orchestrationCost(run: readonly HistoryJson[], children: readonly HistoryJson[]): OrchestrationCost[] {
  const stages = [...run, ...children].flatMap(stagesIn);
  const [first, last] = [run[0]?.events[0], run.at(-1)?.events.at(-1)];
  if (!first || !last) throw new Error('a run has at least one event');
  const end = timeOf(last);
  const asked = run.flatMap(childrenIn).sort((a, b) => a.from - b.from);
  const parts = asked.map(({ name, from }, index) => ({ name, from, to: asked[index + 1]?.from ?? end }));
  return [...parts, { name: 'whole run', from: timeOf(first), to: end }].map(({ name, from, to }) => ({
    name,
    wallSeconds: (to - from) / 1000,
    stageSeconds: covered(stages, { from, to }) / 1000,
  }));
}

/** How much of the window the intervals cover together, in milliseconds; those that overlap count once. */
export function covered(intervals: readonly Interval[], window: Interval): number {
  let total = 0;
  let reached = window.from;
  for (const { from, to } of [...intervals].sort((a, b) => a.from - b.from)) {
    const begin = Math.max(from, reached);
    const end = Math.min(to, window.to);
    if (end > begin) {
      total += end - begin;
      reached = end;
    }
  }
  return total;
}

type Event = HistoryJson['events'][number];

const closings = [
  'activityTaskCompletedEventAttributes',
  'activityTaskFailedEventAttributes',
  'activityTaskTimedOutEventAttributes',
  'activityTaskCanceledEventAttributes',
];

/** From the start of the attempt that ended an activity to its end; earlier attempts are in no history. */
function stagesIn({ events }: HistoryJson): Interval[] {
  const names = new Map<string, string>();
  const started = new Map<string, number>();
  const found: Interval[] = [];
  for (const event of events) {
    const scheduled = attributes(event, 'activityTaskScheduledEventAttributes');
    if (scheduled) names.set(String(event['eventId']), (scheduled['activityType'] as { name: string }).name);
    const start = attributes(event, 'activityTaskStartedEventAttributes');
    if (start) started.set(String(start['scheduledEventId']), timeOf(event));
    for (const closing of closings) {
      const id = String(attributes(event, closing)?.['scheduledEventId']);
      const from = started.get(id);
      if (from !== undefined && !bookkeeping.has(names.get(id) ?? '')) found.push({ from, to: timeOf(event) });
    }
  }
  return found;
}

function childrenIn({ events }: HistoryJson): { name: string; from: number }[] {
  return events.flatMap((event) => {
    const child = attributes(event, 'startChildWorkflowExecutionInitiatedEventAttributes');
    if (!child) return [];
    // "<run>/iteration-3"
    const name = String(child['workflowId']).split('/').at(-1)!;
    return name.startsWith('archive') ? [] : [{ name, from: timeOf(event) }];
  });
}

const attributes = (event: Event, name: string): Record<string, unknown> | undefined =>
  event[name] as Record<string, unknown> | undefined;

const timeOf = (event: Event): number => Date.parse(String(event['eventTime']));
