/** What the audit log of a run has: updates from commands and other clients, changes of course, the guard's; and `cada audit`, `cada verify`, `cada gc` over it. */
import { beforeAll, expect, test } from 'vitest';
import { ApplicationFailure } from '@temporalio/activity';
import { readAudit } from '../../infra/artifacts/audit.ts';
import { changeSettingsUpdate, pauseUpdate, resumeUpdate } from '../../workflows/messages.ts';
import { cada as run } from '../cli/runCommand.ts';
import { eventually } from '../servers/temporalServer.ts';
import { instantConfiguration, type InstantCluster } from './instantStages.ts';
import { progressOf, steeredRuns, waits } from './steeredRuns.ts';

const runs = steeredRuns();
let cluster: InstantCluster;
beforeAll(() => {
  cluster = runs.cluster();
});

const cada = (...args: string[]) =>
  run(args, {
    env: { TEMPORAL_ADDRESS: cluster.server.address, CADA_STORE: cluster.store.uri, CADA_OPERATOR: 'Olga Op' },
  });
const told = async (runId: string) =>
  (await readAudit(cluster.store, runId)).entries.map(({ who, what }) => `${who}: ${what}`);

test('every update is told once, by whom: a command with --by, CADA_OPERATOR, another client, the guard', async () => {
  let letGo!: () => void;
  const held = new Promise<void>((done) => (letGo = done));
  cluster.script.before = (stage, step) => {
    if (stage === 'computeGradients' && step?.iteration === 1) return held;
    if (stage === 'computeGradients' && step?.iteration === 2 && step.learningRate > 6e-4)
      throw ApplicationFailure.nonRetryable('the gradient is not finite', 'Engine.notFinite');
    return undefined;
  };
  const handle = await cluster.start('audited', instantConfiguration({ count: 2, guard: { rateFactor: 0.5 } }));
  await eventually('its first iteration', async () => (await progressOf(handle)).iteration === 1);
  expect(await cada('pause', 'audited', '--by', '')).toMatchObject({ code: 2, stdout: '' });
  expect(await cada('pause', 'audited', '--by', 'Ann')).toMatchObject({ code: 0, stderr: '' });
  expect(await cada('resume', 'audited')).toMatchObject({ code: 0, stdout: 'goes on\n' });
  await handle.executeUpdate(pauseUpdate);
  await handle.executeUpdate<string, [unknown]>(resumeUpdate.name, { args: [{ by: 'Uwe via UI' }] });
  await expect(
    handle.executeUpdate<string, [unknown]>(pauseUpdate.name, { args: [{ by: 'x'.repeat(101) }] }),
  ).rejects.toMatchObject({ cause: { message: expect.stringContaining('1 to 100 characters') as string } });
  await expect(
    handle.executeUpdate<string, [unknown]>(pauseUpdate.name, { args: [{ by: 'Uwe\u001b[2J' }] }),
  ).rejects.toMatchObject({ cause: { message: expect.stringContaining('control characters') as string } });
  await cada('set', 'audited', 'iteration.klWeight=0.01', '--by', 'Ann');
  await handle.executeUpdate(changeSettingsUpdate, { args: [{ 'iteration.klWeight': 0.02 }] });
  letGo();
  await handle.result();

  const { entries, broken } = await readAudit(cluster.store, 'audited');
  expect(broken).toBeUndefined();
  expect(entries.map(({ who, what }) => `${who}: ${what}`)).toEqual([
    'Ann: pause',
    'Olga Op: resume',
    `Temporal client ${cluster.client.options.identity}: pause`,
    'Uwe via UI: resume',
    'Ann: settings changed',
    `Temporal client ${cluster.client.options.identity}: settings changed`,
    'guard: roll back',
  ]);
  expect(entries[4]!.details).toMatchObject({ settings: { 'iteration.klWeight': { from: 0.04, to: 0.01 } } });
  expect(await runs.courseOf('audited')).toMatchObject([
    { operator: 'Ann' },
    { operator: `Temporal client ${cluster.client.options.identity}` },
    { by: 'guard' },
  ]);
  expect(entries[6]!.why).toBe('the gradient is not finite');
}, 240_000);

test('a run that waits, is tried again and cancelled says so; its start is told by the command that started it', async () => {
  cluster.script.before = (stage, step) => {
    if (stage === 'computeGradients' && step) throw ApplicationFailure.nonRetryable('no disk', 'Disk');
  };
  const handle = await cluster.start('unlucky', instantConfiguration({ count: 1 }));
  await waits(handle);
  expect((await cada('retry', 'unlucky', '--by', 'Ann')).stdout).toContain('again');
  await eventually('it waits again', async () => (await progressOf(handle)).state === 'waiting');
  await cada('cancel', 'unlucky', '--by', 'Ben');
  await expect(handle.result()).rejects.toThrow();
  expect(await told('unlucky')).toEqual(['Ann: retry', 'Ben: cancel']);
  expect((await readAudit(cluster.store, 'unlucky')).entries[0]!.details).toMatchObject({
    stage: 'iteration 1',
    cause: expect.stringContaining('no disk') as string,
  });
  cluster.script.before = undefined as never;
  await cada('extend', 'unlucky', '--iterations', '1', '--by', 'Cem', '--detach');
  await cluster.client.workflow.getHandle('unlucky').result();
  expect((await told('unlucky')).slice(2)).toEqual(['Cem: extend', 'Cem: run resumed']);
  // Only those that start an execution are told: joining one is no start.
  const { entries } = await readAudit(cluster.store, 'unlucky');
  expect(entries.at(-1)!.details).toMatchObject({
    configuration: (await cluster.record('unlucky')).configuration.sha256,
    state: 'stopped',
    version: expect.stringMatching(/^\d+\.\d+/) as string,
  });
}, 240_000);

test('`cada audit` prints and checks the log; an entry that was altered, removed or inserted is named, also by `cada verify`', async () => {
  const { entries } = await readAudit(cluster.store, 'unlucky');
  const shown = await cada('audit', 'unlucky');
  expect(shown).toMatchObject({ code: 0, stderr: '' });
  expect(shown.stdout).toMatch(
    /^1 {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}Ann: retry\n {3}cause: iteration 1: no disk\n {3}stage: iteration 1\n/,
  );
  expect(shown.stdout).toContain('4 entries, the chain is whole');
  const json = JSON.parse((await cada('audit', 'unlucky', '--json')).stdout) as Record<string, unknown>;
  expect(json).toEqual({
    runId: 'unlucky',
    entries,
    whole: true,
    broken: null,
    head: expect.objectContaining({ number: 4 }),
  });

  const key = (number: number) => `runs/unlucky/audit/${number}.json`;
  await cluster.store.putDocument(key(2), { ...entries[1], who: 'Bea\u001b[2J' }, 'replace');
  const altered = await cada('audit', 'unlucky', '--verify');
  expect(altered).toMatchObject({ code: 1, stdout: '' });
  expect(altered.stderr).toContain('The log of run unlucky is broken: entry 2');
  expect((await cada('audit', 'unlucky')).stdout).toContain('Bea\\x1b[2J: cancel');
  const verified = await cada('verify', 'unlucky', '--json');
  expect(verified.code).toBe(1);
  expect(JSON.parse(verified.stdout)).toMatchObject({
    whole: false,
    damages: expect.arrayContaining([expect.objectContaining({ kind: 'audit', name: key(2), fault: 'rotten' })]) as [],
  });

  await cluster.store.putDocument(key(2), entries[1], 'replace');
  await cluster.store.deleteDocument(key(4));
  expect((await cada('audit', 'unlucky', '--verify')).stderr).toContain('entry 4 is missing');
  await cluster.store.putDocument(key(4), entries[3], 'ifAbsent');
  await cluster.store.putDocument(key(5), { ...entries[3], number: 5 }, 'ifAbsent');
  expect((await cada('audit', 'unlucky', '--verify')).stderr).toContain('entry 4');
  await cluster.store.deleteDocument(key(5));
  expect(await cada('audit', 'unlucky', '--verify')).toMatchObject({ code: 0, stderr: '' });
}, 240_000);

test('`cada gc` keeps the log of a run that is kept; with --forget it goes', async () => {
  expect((await cada('gc', '--delete')).code).toBe(0);
  expect(await told('unlucky')).toHaveLength(4);
  expect((await cada('gc', '--delete', '--forget', 'unlucky')).code).toBe(0);
  expect(await told('unlucky')).toEqual([]);
}, 60_000);
