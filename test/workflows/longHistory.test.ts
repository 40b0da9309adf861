/**
 * What orchestration costs: events and payloads by iteration, memory and time over many iterations, shards at once. Stages take no time, so all that is
 * seen is the orchestration's. CADA_LONG_ITERATIONS=10000 (`npm run test:long-history`) is the long form.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runPlan } from '../../activities/runPlan.ts';
import { memoryFromRecord } from '../../cli/operate/resuming.ts';
import { keepHistories } from '../../activities/histories.ts';
import { listHistories, listIterations, loadHistory } from '../../infra/artifacts/runs.ts';
import { readEvents, type HistoryJson } from './historyEvents.ts';
import { instantConfiguration, startInstantCluster, type InstantCluster } from './instantStages.ts';

const iterations = Number(process.env['CADA_LONG_ITERATIONS'] ?? 300);
/** Of the run's own history, and of an iteration's (one shard of each kind, one optimizer step, no probe). */
const eventsOfRun = 9;
const eventsOfIteration = 59;

let cluster: InstantCluster;
beforeAll(async () => {
  // Often enough that a run of hundreds of iterations continues as new a few times.
  cluster = await startInstantCluster({ dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': 600 } });
}, 120_000);
afterAll(() => cluster?.stop());

/** Histories of a run by name, its own executions first. */
async function historiesOf(runId: string): Promise<Map<string, HistoryJson>> {
  await keepHistories(cluster.client, cluster.store, runId);
  const histories = new Map<string, HistoryJson>();
  for (const name of await listHistories(cluster.store, runId))
    histories.set(name, withoutRepeatedTasks((await loadHistory<HistoryJson>(cluster.store, runId, name))!));
  return histories;
}

/** On a busy machine a workflow task may time out and be given again: that is no cost of ours. */
function withoutRepeatedTasks({ events }: HistoryJson): HistoryJson {
  const lost = new Set<unknown>();
  for (const event of events) {
    if (!/WORKFLOW_TASK_(TIMED_OUT|FAILED)$/.test(String(event['eventType']))) continue;
    lost.add(event['eventId']);
    // Other events may stand between those of one task.
    for (const attributes of Object.values(event)) {
      const { scheduledEventId, startedEventId } = (attributes ?? {}) as Record<string, unknown>;
      lost.add(scheduledEventId).add(startedEventId);
    }
  }
  return { events: events.filter(({ eventId }) => !lost.has(eventId)) };
}

const ownOf = (histories: Map<string, HistoryJson>) =>
  [...histories].filter(([name]) => name.startsWith('run.')).map(([, history]) => history);

/** Events between the starts of one iteration and the next. */
function gapsBetweenIterations({ events }: HistoryJson): number[] {
  const starts = events.flatMap((event, index) =>
    event['eventType'] === 'EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED' &&
    JSON.stringify(event).includes('"name":"runIteration"')
      ? [index]
      : [],
  );
  return starts.slice(1).map((start, index) => start - starts[index]!);
}

test('an iteration costs the same events, whether a run has 4 or 40; payloads are small', async () => {
  for (const count of [4, 40]) {
    const runId = `cost-${count}`;
    await (await cluster.start(runId, instantConfiguration({ count }))).result();
    const histories = await historiesOf(runId);
    const gaps = ownOf(histories).flatMap(gapsBetweenIterations);
    expect(gaps).toEqual(new Array(count - 1).fill(eventsOfRun));
    for (const [name, history] of histories) {
      const { events, largest } = readEvents(history);
      expect(largest.bytes, `${name}, ${largest.of}`).toBeLessThanOrEqual(4096);
      if (name.startsWith('iteration-')) expect(events, name).toBe(eventsOfIteration);
    }
  }
}, 120_000);

test('2,000 shards in one iteration: never more than 400 activities at once, and small payloads', async () => {
  cluster.script = { generationShards: 2000 };
  await (await cluster.start('wide', instantConfiguration({ count: 1 }))).result();
  cluster.script = { generationShards: 1 };
  const histories = await historiesOf('wide');
  const [, iteration] = [...histories].find(([name]) => name.startsWith('iteration-1.'))!;
  let pending = 0;
  let most = 0;
  let generated = 0;
  for (const event of iteration.events) {
    if (event['eventType'] === 'EVENT_TYPE_ACTIVITY_TASK_SCHEDULED') {
      most = Math.max(most, ++pending);
      if (JSON.stringify(event).includes('"name":"generateChains"')) generated += 1;
    } else if (event['eventType'] === 'EVENT_TYPE_ACTIVITY_TASK_COMPLETED') pending -= 1;
  }
  const { events, largest } = readEvents(iteration);
  console.log(
    `2,000 shards: ${events} events, at most ${most} activities at once, largest payload ${largest.bytes} bytes`,
  );
  expect(generated).toBe(2000);
  expect(most).toBe(400);
  expect(largest.bytes).toBeLessThanOrEqual(4096);
  expect(events).toBeLessThan(20_000);
}, 300_000);

test(
  `${iterations} iterations: memory and time of an iteration stay flat, and the run continues as new`,
  async () => {
    cluster.calls.length = 0;
    const points: { iteration: number; seconds: number; memory: number }[] = [];
    const startedAt = performance.now();
    const every = Math.max(1, Math.floor(iterations / 6));
    cluster.script = {
      generationShards: 1,
      forgetful: true,
      before: (stage, step) => {
        if (stage !== 'updatePolicy' || !step || step.iteration % every !== 0) return;
        const memory = process.memoryUsage().rss / 2 ** 20;
        points.push({ iteration: step.iteration, seconds: (performance.now() - startedAt) / 1000, memory });
      },
    };
    const handle = await cluster.start('long', instantConfiguration({ count: iterations }));
    const { runId: first } = await handle.describe();
    await handle.result();
    for (const [index, { iteration, seconds, memory }] of points.entries()) {
      const before = points[index - 1] ?? { iteration: 0, seconds: 0 };
      const each = ((seconds - before.seconds) / (iteration - before.iteration)) * 1000;
      console.log(`iteration ${iteration}: ${Math.round(memory)} MiB, ${Math.round(each)} ms an iteration`);
    }
    const resumedAt = performance.now();
    const record = await cluster.record('long');
    const memory = await memoryFromRecord(cluster.store, record, runPlan(instantConfiguration()), {
      line: () => undefined,
    });
    console.log(
      `going on from ${iterations} finished iterations takes ${Math.round(performance.now() - resumedAt)} ms`,
    );
    expect(memory).toMatchObject({ iteration: iterations, policy: record.policy });
    expect(await listIterations(cluster.store, 'long')).toHaveLength(iterations + 1);
    expect(await cluster.record('long')).toMatchObject({ state: 'done', iteration: iterations });
    const { runId: newest } = await cluster.client.workflow.getHandle('long').describe();
    expect(newest).not.toBe(first);
    // The process holds server clients, workflow sandboxes and this test too: once they are warm, iterations add nothing that stays.
    const warm = Math.max(...points.slice(0, 3).map(({ memory }) => memory));
    expect(points.at(-1)!.memory).toBeLessThan(warm + 128);
  },
  4 * 3600_000,
);
