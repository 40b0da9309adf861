/** Recorded histories, replayed with the workflows as they are now: a change that would break runs under way fails here. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Worker, type ReplayResult } from '@temporalio/worker';
import { expect, test } from 'vitest';
import { readEvents, type HistoryJson } from './historyEvents.ts';

const folder = join(import.meta.dirname, 'histories');
const workflowTypes = readdirSync(folder).map((name) => name.replace('.json', ''));
const recorded = (workflowType: string): HistoryJson =>
  JSON.parse(readFileSync(join(folder, `${workflowType}.json`), 'utf8')) as HistoryJson;

async function replay(histories: Record<string, HistoryJson>): Promise<ReplayResult[]> {
  const results: ReplayResult[] = [];
  const given = Object.entries(histories).map(([workflowId, history]) => ({ workflowId, history }));
  for await (const result of Worker.runReplayHistories({ workflowsPath: resolve('workflows/index.ts') }, given)) {
    results.push(result);
  }
  return results;
}

test('every workflow has a recorded history, and replays it', async () => {
  expect(workflowTypes.sort()).toEqual(['alignPolicy', 'evaluatePolicy', 'runIteration', 'warmStartPolicy']);
  // The run's children are named after it.
  const idOf = (type: string): string => (type === 'alignPolicy' ? 'recorded' : `recorded/${type}`);
  const results = await replay(Object.fromEntries(workflowTypes.map((type) => [idOf(type), recorded(type)])));
  expect(results.map(({ error }) => error?.message)).toEqual([undefined, undefined, undefined, undefined]);
}, 60_000);

test('a history of other workflow code is told', async () => {
  const text = JSON.stringify(recorded('runIteration')).replaceAll('"planUpdate"', '"planSomethingElse"');
  const [result] = await replay({ 'recorded/changed': JSON.parse(text) as HistoryJson });
  expect(result!.error?.name).toBe('DeterminismViolationError');
}, 60_000);

test('payloads are small, and an iteration costs its run a handful of events', () => {
  for (const type of workflowTypes) {
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
  expect(starts[1]! - starts[0]!).toBeLessThanOrEqual(20);
});
