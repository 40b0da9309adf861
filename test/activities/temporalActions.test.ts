import { readFileSync } from 'node:fs';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { expect, test } from 'vitest';
import { actionsIn } from '../../activities/temporalActions.ts';

const inFile = (name: string): number =>
  actionsIn(historyFromJSON(JSON.parse(readFileSync(`test/workflows/histories/${name}.json`, 'utf8'))));

test('actions of recorded histories, counted by hand', () => {
  // Its start, 21 activities, 4 children, a timer, an update, a marker, and 4 of 5 upserts: one is of the version attribute alone.
  expect(inFile('alignPolicy-released')).toBe(1 + 21 + 4 + 1 + 1 + 1 + 4);
  // Nothing but its start and 22 activities.
  expect(inFile('runIteration')).toBe(1 + 22);
});

const event = (eventId: number, type: string, attributes: string, fields: object = {}) => ({
  ...{ eventId: String(eventId), eventType: `EVENT_TYPE_${type}`, [`${attributes}EventAttributes`]: fields },
});

test('each attempt of an activity counts, one under way once; markers count once a workflow task; each signal counts', () => {
  const events = [
    event(1, 'WORKFLOW_EXECUTION_STARTED', 'workflowExecutionStarted'),
    event(2, 'WORKFLOW_TASK_COMPLETED', 'workflowTaskCompleted'),
    event(3, 'MARKER_RECORDED', 'markerRecorded', { workflowTaskCompletedEventId: '2' }),
    event(4, 'MARKER_RECORDED', 'markerRecorded', { workflowTaskCompletedEventId: '2' }),
    event(5, 'ACTIVITY_TASK_SCHEDULED', 'activityTaskScheduled'),
    event(6, 'ACTIVITY_TASK_STARTED', 'activityTaskStarted', { attempt: 3 }),
    event(7, 'ACTIVITY_TASK_COMPLETED', 'activityTaskCompleted'),
    event(8, 'WORKFLOW_EXECUTION_SIGNALED', 'workflowExecutionSignaled'),
    event(9, 'WORKFLOW_TASK_COMPLETED', 'workflowTaskCompleted'),
    event(10, 'MARKER_RECORDED', 'markerRecorded', { workflowTaskCompletedEventId: '9' }),
    event(11, 'WORKFLOW_PROPERTIES_MODIFIED', 'workflowPropertiesModified'),
    event(12, 'ACTIVITY_TASK_SCHEDULED', 'activityTaskScheduled'),
  ];
  // Start, markers of two tasks, three attempts, a signal, an activity that has not ended.
  expect(actionsIn(historyFromJSON({ events }))).toBe(1 + 2 + 3 + 1 + 1);
});
