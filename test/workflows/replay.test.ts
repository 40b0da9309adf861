/** Recorded histories, replayed with the workflows as they are now: a change that would break runs under way fails here. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Worker, type ReplayResult } from '@temporalio/worker';
import { expect, test } from 'vitest';
import { readEvents, type HistoryJson } from './historyEvents.ts';

const folder = join(import.meta.dirname, 'histories');
/** Of each workflow one; of the run also where it was steered: `alignPolicy-paused`. */
const names = readdirSync(folder).map((name) => name.replace('.json', ''));
const recorded = (name: string): HistoryJson =>
  JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as HistoryJson;

async function replay(histories: Record<string, HistoryJson>): Promise<ReplayResult[]> {
  const results: ReplayResult[] = [];
  const given = Object.entries(histories).map(([workflowId, history]) => ({ workflowId, history }));
  for await (const result of Worker.runReplayHistories({ workflowsPath: resolve('workflows/index.ts') }, given)) {
    results.push(result);
  }
  return results;
}

test('finished, in the middle, continued, paused, rolled back, guarded, audited, released: every workflow replays its recorded history', async () => {
  const steered = ['audited', 'continued', 'guarded', 'middle', 'paused', 'released', 'rolledBack'].map(
    (what) => `alignPolicy-${what}`,
  );
  expect(names.sort()).toEqual(['alignPolicy', ...steered, 'evaluatePolicy', 'runIteration', 'warmStartPolicy']);
  // The run's children are named after it.
  const idOf = (name: string): string =>
    name.startsWith('alignPolicy') ? name.replace('alignPolicy', 'recorded') : `recorded/${name}`;
  const results = await replay(Object.fromEntries(names.map((name) => [idOf(name), recorded(name)])));
  expect(results.flatMap(({ workflowId, error }) => (error ? [`${workflowId}: ${error.message}`] : []))).toEqual([]);
  expect(results).toHaveLength(names.length);
}, 120_000);

test('what was recorded is what its name says', () => {
  const types = (name: string) => recorded(name).events.map((event) => event['eventType']);
  expect(types('alignPolicy-middle')).not.toContain('EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED');
  expect(types('alignPolicy-paused')).toContain('EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED');
  expect(types('alignPolicy-paused')).not.toContain('EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED');
  expect(types('alignPolicy-rolledBack')).toContain('EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED');
  const started = recorded('alignPolicy-continued').events[0] as Record<string, { continuedExecutionRunId?: string }>;
  expect(started['workflowExecutionStartedEventAttributes']!.continuedExecutionRunId).toMatch(/./);
});

test('a history of other workflow code is told', async () => {
  const text = JSON.stringify(recorded('runIteration')).replaceAll('"planUpdate"', '"planSomethingElse"');
  const [result] = await replay({ 'recorded/changed': JSON.parse(text) as HistoryJson });
  expect(result!.error?.name).toBe('DeterminismViolationError');
}, 60_000);

test('payloads are small, and an iteration costs its run nine events', () => {
  for (const type of names) {
    const { events, payloads, largest } = readEvents(recorded(type));
    console.log(`${type}: ${events} events, ${payloads} payloads, largest ${largest.bytes} bytes (${largest.of})`);
    expect(largest.bytes, `${type}, ${largest.of}`).toBeLessThanOrEqual(4096);
  }
  const { events } = recorded('alignPolicy');
  const starts = events.flatMap((event, index) =>
    JSON.stringify(event).includes('"name":"runIteration"') &&
    event['eventType'] === 'EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED'
      ? [index]
      : [],
  );
  expect(starts).toHaveLength(2);
  console.log(`the run grows by ${starts[1]! - starts[0]!} events an iteration`);
  expect(starts[1]! - starts[0]!).toBeLessThanOrEqual(9);
});
