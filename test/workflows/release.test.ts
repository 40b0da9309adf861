/** The release of a run's policy: criteria alone, approval, rejection, every time-out, other courses while it waits. Real server, stages without work. */
import { WorkflowUpdateFailedError, type WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { beforeAll, expect, test } from 'vitest';
import type { FolderManifest } from '../../activities/plans.ts';
import type { RunRecord } from '../../activities/types.ts';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import { readAudit } from '../../infra/artifacts/audit.ts';
import {
  approveUpdate,
  cancelRunUpdate,
  extendUpdate,
  pauseUpdate,
  progressQuery,
  rejectUpdate,
  rollBackUpdate,
} from '../../workflows/messages.ts';
import { makeScored } from '../alignment/makeChain.ts';
import { eventually } from '../servers/temporalServer.ts';
import { readEvents, type HistoryJson } from './historyEvents.ts';
import { instantConfiguration, type InstantCluster } from './instantStages.ts';
import { progressOf, steeredRuns } from './steeredRuns.ts';

const runs = steeredRuns();
let cluster: InstantCluster;
beforeAll(() => {
  cluster = runs.cluster();
});

/** 8 of 10 harmful requests are refused in the end. */
const criterion = (atLeast: number) => ({ figure: 'refusal/harmful', atLeast });
const answers = () =>
  Array.from({ length: 10 }, (_, i) => ({
    scored: makeScored(`h${i}`, { kind: 'harmful', verdict: i < 8 ? 'refusal' : 'compliance' }),
  }));
/** 2.2 seconds. */
const moment = 0.0006;

function start(runId: string, release: object): Promise<WorkflowHandle> {
  cluster.script.answers = answers;
  return cluster.start(runId, configurationSchema.parse({ ...instantConfiguration({ count: 1 }), release }));
}

const awaits = (handle: WorkflowHandle) =>
  eventually('it awaits approval', async () => (await progressOf(handle)).state === 'awaiting approval', 60_000);

async function told(runId: string): Promise<string[]> {
  const { entries, broken } = await readAudit(cluster.store, runId);
  expect(broken).toBeUndefined();
  return entries.map(({ who, what, why }) => `${who}: ${what}${why ? ` (${why})` : ''}`);
}

/** What the run's exported folder holds. */
async function folderOf({ exported }: RunRecord): Promise<Record<string, string>> {
  const text = async (ref: FolderManifest['files'][number]['artifact']) =>
    new TextDecoder().decode(await cluster.store.getBytes(ref));
  const { files } = JSON.parse(await text(exported!)) as FolderManifest;
  return Object.fromEntries(
    await Promise.all(files.map(async ({ path, artifact }) => [path, await text(artifact)] as const)),
  );
}

async function refusal(update: Promise<string>): Promise<string> {
  const error: unknown = await update.then(
    (answer) => `accepted: ${answer}`,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(WorkflowUpdateFailedError);
  return ((error as Error).cause as Error).message;
}

test('criteria alone: a policy that meets them is promoted, another is not; nobody is waited for', async () => {
  await (await start('good', { criteria: [criterion(0.8)] })).result();
  const good = await cluster.record('good');
  expect(good).toMatchObject({
    state: 'done',
    release: { status: 'promoted', met: true, told: 'the criterion is met', adapter: good.policy!.adapter!.sha256 },
  });
  const promoted = await folderOf(good);
  expect(promoted['adapter/README.md']).toMatch(/^# Card\n\n## Release\n\n\* Status: \*\*promoted\*\*/);
  expect(promoted['adapter/README.md']).toContain('| refusal/harmful | at least 0.8 | 0.80 [0.49, 0.94] | met |');
  expect(JSON.parse(promoted['adapter/promoted.json']!)).toMatchObject({
    adapterSha256: good.policy!.adapter!.sha256,
    criteriaMet: true,
    approval: null,
    auditHead: (await readAudit(cluster.store, 'good')).head!.sha256,
  });
  expect(await told('good')).toEqual([
    'release policy: release criteria evaluated',
    'release policy: promoted (the criterion is met)',
  ]);

  await (await start('poor', { criteria: [criterion(0.8), { ...criterion(0.5), by: 'interval' }] })).result();
  const poor = await cluster.record('poor');
  expect(poor).toMatchObject({
    state: 'done',
    release: {
      status: 'not promoted',
      told: '1 of 2 criteria not met: refusal/harmful 0.8 (at least 0.5 (lower end of the interval))',
    },
  });
  const left = await folderOf(poor);
  expect(Object.keys(left)).toEqual(['adapter/README.md', 'adapter/adapter_model.safetensors']);
  expect(left['adapter/README.md']).toContain('**not promoted**');
}, 120_000);

test('a run without the section is as it was: no release in its record, its card or its log', async () => {
  await (await cluster.start('plain', instantConfiguration({ count: 1 }))).result();
  const record = await cluster.record('plain');
  expect(record.release).toBeUndefined();
  expect((await folderOf(record))['adapter/README.md']).toBe('# Card\n');
  expect(await told('plain')).toEqual([]);
}, 60_000);

test('approval: the run waits, refuses what is no decision, and is promoted by whom and why', async () => {
  const handle = await start('approved', { criteria: [criterion(0.9)], approval: 'required' });
  await awaits(handle);
  expect(await progressOf(handle)).toMatchObject({
    stage: 'approval',
    cause: '1 of 1 criteria not met: refusal/harmful 0.8 (at least 0.9)',
  });
  expect((await handle.describe()).memo).toMatchObject({ state: 'awaiting approval' });
  await eventually('it is found by its state', async () => {
    for await (const { workflowId } of cluster.client.workflow.list({ query: "CadaState = 'awaiting approval'" }))
      if (workflowId === 'approved') return true;
    return false;
  });
  await eventually('its record says so', async () => {
    const { state, release } = await cluster.record('approved');
    return state === 'awaiting approval' && release !== undefined;
  });
  const waiting = await cluster.record('approved');
  expect(waiting).toMatchObject({ state: 'awaiting approval', release: { status: 'awaiting approval' } });
  expect(waiting.report).toBeDefined();
  expect((await folderOf(waiting))['adapter/README.md']).toContain('**candidate**');

  const approve = (decision: unknown) => refusal(handle.executeUpdate(approveUpdate, { args: [decision as never] }));
  expect(await approve(undefined)).toContain('write {"by": "who decides", "why": "the reason"}');
  expect(await approve({ by: ' ', why: 'x' })).toContain('"by" must be a name of 1 to 100 characters');
  expect(await approve({ by: 'Ann\u001b[2J', why: 'x' })).toContain('"by" must be a name on one line');
  expect(await approve({ by: 'Ann', why: '' })).toContain('"why" must be a text that says the reason');
  expect(await approve({ by: 'Ann', why: 'ü'.repeat(401) })).toContain('"why" has 802 bytes, more than 800');
  expect(await approve({ by: 'Ann', why: 'x', who: 'y' })).toContain('there is no "who" in a decision');
  expect(await approve({ by: 'Ann', why: 'x' })).toMatch(/^1 of 1 criteria not met.*--despite/);
  expect(
    await refusal(handle.executeUpdate(rejectUpdate, { args: [{ by: 'Ann', why: 'x', despite: 'y' }] })),
  ).toContain('"despite" is for an approval');
  expect(await refusal(handle.executeUpdate(pauseUpdate))).toContain('the run is awaiting approval, not running');

  // As long as it may be.
  const despite = `the set is small ${'語'.repeat(261)}`;
  const decision = { by: 'Ann', why: `looked at *all* answers ${'"'.repeat(388)}`, despite };
  expect(await handle.executeUpdate(approveUpdate, { args: [decision] })).toContain('the policy is promoted');
  await handle.result();
  const record = await cluster.record('approved');
  expect(record).toMatchObject({
    state: 'done',
    release: { status: 'promoted', decision: { outcome: 'approved', ...decision } },
  });
  const folder = await folderOf(record);
  expect(folder['adapter/README.md']).toContain('approved by Ann, ');
  expect(folder['adapter/README.md']).toContain('looked at \\*all\\* answers');
  expect(folder['adapter/README.md']).toContain('Although not all criteria are met: the set is small 語語');
  expect(JSON.parse(folder['adapter/promoted.json']!)).toMatchObject({ criteriaMet: false, approval: decision });
  expect(await told('approved')).toEqual([
    'release policy: release criteria evaluated',
    'release policy: approval asked',
    `Ann: approved (${decision.why})`,
    'release policy: promoted (approved by Ann)',
  ]);
  const history: unknown = JSON.parse(historyToJSON(await handle.fetchHistory()));
  const { largest } = readEvents(history as HistoryJson);
  expect(largest.bytes, largest.of).toBeLessThanOrEqual(4096);
  // Before the decision, and after it.
  expect(cluster.calls.filter(({ stage }) => stage === 'writeReport')).toHaveLength(2);
}, 120_000);

test('one that goes on from its record after the decision keeps to it: nobody is asked or told again', async () => {
  const release = { criteria: [criterion(0.5)], approval: 'required', timeoutHours: 5, onTimeout: 'reject' };
  const handle = await start('kept', release);
  await awaits(handle);
  let letGo!: () => void;
  const held = new Promise<void>((done) => (letGo = done));
  cluster.script.before = (stage) => (stage === 'writeReport' ? held : undefined);
  await handle.executeUpdate(approveUpdate, { args: [{ by: 'Ann', why: 'read them' }] });
  // It is promoted, and its last report is being written.
  await eventually('the log says so', async () => (await told('kept')).length === 4);
  await cluster.client.workflow.getHandle('kept').terminate('its server is lost');
  letGo();
  cluster.script.before = undefined as never;
  const before = await cluster.record('kept');
  expect(before).toMatchObject({ state: 'running', release: { decision: { outcome: 'approved', by: 'Ann' } } });

  cluster.calls.length = 0;
  const again = await start('kept', release);
  await again.result();
  const record = await cluster.record('kept');
  expect(record).toMatchObject({ state: 'done', release: { status: 'promoted', decision: before.release!.decision } });
  expect(record.release!.askedAt).toBe(before.release!.askedAt);
  expect(JSON.parse((await folderOf(record))['adapter/promoted.json']!)).toMatchObject({
    adapterSha256: record.policy!.adapter!.sha256,
    approval: { by: 'Ann' },
  });
  expect(await told('kept')).toEqual([
    'release policy: release criteria evaluated',
    'release policy: approval asked',
    'Ann: approved (read them)',
    'release policy: promoted (approved by Ann)',
  ]);
  // The last one only: before a decision another is written.
  expect(cluster.calls.filter(({ stage }) => stage === 'writeReport')).toHaveLength(1);
}, 120_000);

test('a rejected run keeps its artifacts and is not promoted', async () => {
  const handle = await start('rejected', { criteria: [criterion(0.5)], approval: 'required' });
  await awaits(handle);
  expect(
    await refusal(handle.executeUpdate(approveUpdate, { args: [{ by: 'Ann', why: 'x', despite: 'y' }] })),
  ).toContain('all criteria are met: leave "despite" out');
  await handle.executeUpdate(rejectUpdate, { args: [{ by: 'Ben', why: 'tone' }] });
  await handle.result();
  const record = await cluster.record('rejected');
  expect(record).toMatchObject({ state: 'done', release: { status: 'rejected', met: true } });
  const folder = await folderOf(record);
  expect(folder['adapter/README.md']).toContain('**rejected**');
  expect(folder['adapter/promoted.json']).toBeUndefined();
  expect(await cluster.store.has(record.policy!.adapter!)).toBe(true);
  expect((await told('rejected')).slice(2)).toEqual(['Ben: rejected (tone)']);
}, 120_000);

test.each([
  ['reject', 0.5, 'rejected'],
  ['approve-if-met', 0.5, 'promoted'],
  ['approve-if-met', 0.9, 'rejected'],
])(
  'time-out %s with a limit of %s: %s',
  async (onTimeout, atLeast, status) => {
    const runId = `late-${onTimeout}-${atLeast}`;
    const handle = await start(runId, {
      criteria: [criterion(atLeast)],
      approval: 'required',
      timeoutHours: moment,
      onTimeout,
    });
    await handle.result();
    const record = await cluster.record(runId);
    expect(record).toMatchObject({
      state: 'done',
      release: { status, timedOut: true, decision: { by: 'release policy' } },
    });
    expect(record.release!.decision!.why).toContain(`(onTimeout: ${onTimeout})`);
    expect((await told(runId)).slice(1, 3)).toEqual([
      'release policy: approval asked',
      'release policy: approval timed out',
    ]);
  },
  60_000,
);

test('more iterations that are asked for as the time runs out: the run goes on, and the policy after them is decided about anew', async () => {
  let timedOut!: () => void;
  let letGo!: () => void;
  const outOfTime = new Promise<void>((done) => (timedOut = done));
  const held = new Promise<void>((done) => (letGo = done));
  let once = true;
  cluster.script.beforeAudit = async (what) => {
    if (what !== 'approval timed out' || !once) return;
    once = false;
    timedOut();
    await held;
  };
  const handle = await start('extended', {
    criteria: [criterion(0.5)],
    approval: 'required',
    timeoutHours: moment,
    onTimeout: 'reject',
  });
  await outOfTime;
  expect(await handle.executeUpdate(extendUpdate, { args: [1] })).toBe('goes on to iteration 2');
  letGo();
  await handle.result();
  const record = await cluster.record('extended');
  expect(record).toMatchObject({ state: 'done', iteration: 2, release: { status: 'rejected', timedOut: true } });
  expect(record.release!.adapter).toBe(record.policy!.adapter!.sha256);
  const { entries } = await readAudit(cluster.store, 'extended');
  expect(entries.map(({ what }) => what)).toEqual([
    ...['release criteria evaluated', 'approval asked', 'extend', 'approval timed out', 'approval withdrawn'],
    ...['release criteria evaluated', 'approval asked', 'approval timed out', 'rejected'],
  ]);
  const adapters = new Set(
    entries.filter(({ what }) => what === 'approval asked').map((one) => one.details['adapter']),
  );
  expect(adapters.size).toBe(2);
  expect(entries.at(-1)!.details).toMatchObject({ adapter: record.release!.adapter });
}, 120_000);

test('time-out wait: it is told, and the run waits on', async () => {
  const handle = await start('patient', { approval: 'required', timeoutHours: moment, onTimeout: 'wait' });
  await eventually('the time is over', async () => (await cluster.record('patient')).release?.timedOut === true);
  expect((await progressOf(handle)).state).toBe('awaiting approval');
  await handle.executeUpdate(approveUpdate, { args: [{ by: 'Ann', why: 'late, but good' }] });
  await handle.result();
  expect(await told('patient')).toEqual([
    'release policy: release criteria evaluated',
    'release policy: approval asked',
    'release policy: approval timed out',
    'Ann: approved (late, but good)',
    'release policy: promoted (approved by Ann)',
  ]);
}, 60_000);

test('more iterations, a roll-back and a cancellation while it waits; what goes on from the record waits by the same deadline', async () => {
  const release = { approval: 'required', timeoutHours: 5, onTimeout: 'reject' };
  const handle = await start('undecided', release);
  await awaits(handle);
  expect(await handle.executeUpdate(extendUpdate, { args: [1] })).toBe('goes on to iteration 2');
  await eventually('the second iteration', async () => (await cluster.record('undecided')).iteration === 2, 60_000);
  await awaits(handle);
  await handle.executeUpdate(rollBackUpdate, { args: [1] });
  await eventually('the second epoch', async () => (await cluster.record('undecided')).epoch === 1, 60_000);
  await eventually(
    'it awaits approval again',
    async () => {
      const { state, iteration, release: asked } = await cluster.record('undecided');
      return state === 'awaiting approval' && iteration === 2 && asked?.askedAt !== undefined;
    },
    60_000,
  );
  const { release: asked } = await cluster.record('undecided');
  await handle.executeUpdate(cancelRunUpdate);
  await expect(handle.result()).rejects.toThrow();
  expect((await cluster.record('undecided')).state).toBe('cancelled');

  const again = await start('undecided', release);
  await awaits(again);
  expect((await cluster.record('undecided')).release).toMatchObject({
    askedAt: asked!.askedAt,
    deadline: asked!.deadline,
  });
  await again.executeUpdate(rejectUpdate, { args: [{ by: 'Ben', why: 'no use' }] });
  await again.result();
  expect((await again.query(progressQuery)).state).toBe('done');
  const whats = (await readAudit(cluster.store, 'undecided')).entries.map(({ what }) => what);
  expect(whats.filter((what) => what === 'approval asked')).toHaveLength(3);
  expect(whats).toContain('approval withdrawn');
}, 180_000);
