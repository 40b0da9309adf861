import { readdir, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import type { HistoryJson } from '../workflows/historyEvents.ts';
import { covered, orchestrationCost } from './orchestrationCost.ts';

test('intervals that overlap count once, and only within the window', () => {
  const intervals = [
    { from: 5, to: 9 },
    { from: 0, to: 4 },
    { from: 2, to: 3 },
    { from: 3, to: 6 },
    { from: 20, to: 30 },
  ];
  expect(covered(intervals, { from: 0, to: 100 })).toBe(9 + 10);
  expect(covered(intervals, { from: 1, to: 25 })).toBe(8 + 5);
  expect(covered(intervals, { from: 10, to: 19 })).toBe(0);
});

let eventId = 0;
const at = (second: number, name: string, attributes: object): HistoryJson['events'][number] => ({
  eventId: String(++eventId),
  eventTime: new Date(second * 1000).toISOString(),
  [`${name}EventAttributes`]: attributes,
});
/** An activity that is asked for, begins and ends. */
function activity(name: string, asked: number, from: number, to: number, end = 'activityTaskCompleted') {
  const scheduled = at(asked, 'activityTaskScheduled', { activityType: { name } });
  const { eventId: scheduledEventId } = scheduled;
  return [scheduled, at(from, 'activityTaskStarted', { scheduledEventId }), at(to, end, { scheduledEventId })];
}
const child = (second: number, workflowId: string) =>
  at(second, 'startChildWorkflowExecutionInitiated', { workflowId });

test('what no stage covers is orchestration: waits, records, and the way from one iteration to the next', () => {
  const run: HistoryJson = {
    events: [
      at(0, 'workflowExecutionStarted', {}),
      ...activity('prepareModel', 0, 1, 5),
      child(6, 'run/iteration-1'),
      ...activity('saveRun', 16, 16, 18),
      child(18, 'run/iteration-2'),
      child(29, 'run/archive-1'),
      at(30, 'workflowExecutionCompleted', {}),
    ],
  };
  const first: HistoryJson = {
    events: [
      // Two workers at once, one of them failing for good.
      ...activity('generateChains', 6, 7, 12),
      ...activity('generateChains', 6, 8, 14, 'activityTaskFailed'),
      ...activity('recordIteration', 14, 14, 16),
    ],
  };
  const second: HistoryJson = { events: activity('updatePolicy', 18, 19, 29) };
  expect(orchestrationCost([run], [first, second])).toEqual([
    { name: 'iteration-1', wallSeconds: 12, stageSeconds: 7 },
    { name: 'iteration-2', wallSeconds: 12, stageSeconds: 10 },
    { name: 'whole run', wallSeconds: 30, stageSeconds: 4 + 7 + 10 },
  ]);
});

test('histories as the server writes them are understood', async () => {
  const folder = resolve('test/workflows/histories');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json'));
  const histories = await Promise.all(
    names.map(async (name) => JSON.parse(await readFile(`${folder}/${name}`, 'utf8')) as HistoryJson),
  );
  const withChildren = histories.filter(({ events }) =>
    events.some(({ eventType }) => String(eventType).includes('START_CHILD_WORKFLOW_EXECUTION_INITIATED')),
  );
  expect(withChildren.length).toBeGreaterThan(0);
  for (const run of withChildren) {
    const costs = orchestrationCost([run], histories);
    const whole = costs.at(-1)!;
    expect(whole.name).toBe('whole run');
    expect(whole.wallSeconds).toBeGreaterThan(0);
    expect(whole.stageSeconds).toBeLessThanOrEqual(whole.wallSeconds);
    expect(costs.length).toBeGreaterThan(1);
  }
});
