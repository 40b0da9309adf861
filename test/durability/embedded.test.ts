/**
 * A run on one machine, whose command supervises server and workers: processes killed in the middle of their work are started again, the run ends with the
 * adapter of an undisturbed one, and each kill costs at most one step computed twice.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readServerRecord } from '../../infra/temporal/serverRecord.ts';
import { runFolders } from '../../infra/paths.ts';
import { createInstallation, type TestInstallation } from '../workflows/cluster.ts';
import { computedAgain, type LedgerEntry } from '../workflows/ledger.ts';
import { startedEngineOf } from '../workflows/workerEngine.ts';

let undisturbed: string;
const installations: TestInstallation[] = [];

async function fresh(): Promise<TestInstallation> {
  const installation = await createInstallation();
  installations.push(installation);
  return installation;
}

beforeAll(async () => {
  const { record } = await (await fresh()).train('undisturbed');
  undisturbed = record.policy!.adapter!.sha256;
}, 600_000);
afterAll(async () => {
  for (const installation of installations) await installation.remove();
});

describe.concurrent('a run on one machine', () => {
  test('survives SIGKILL of the gpu worker, the engine, the Temporal server and the judge worker', async () => {
    const installation = await fresh();
    const server = async (): Promise<number> =>
      (await readServerRecord(runFolders(installation.home, 'killed').temporalDatabase))!.pid;
    const { outcome, adapter, again, lines, killed } = await runWithKills(
      'killed',
      [
        { when: computing('generateChains', 6), kill: amidWork(({ pid }) => pid) },
        { when: computing('generateChains', 9), kill: atOnce(server) },
        { when: computing('computeGradients', 3), kill: amidWork(({ pid }) => startedEngineOf(pid)) },
        { when: computing('computeGradients', 8), kill: atOnce(server) },
        { when: computing('rewardChains', 20), kill: atOnce(({ pid }) => pid) },
      ],
      installation,
    );
    expect(killed).toHaveLength(5);
    expect(outcome).toBe('done');
    expect(adapter).toBe(undisturbed);
    expect(lines.filter((line) => line.includes('the gpu worker ended (SIGKILL)'))).toHaveLength(1);
    expect(lines.filter((line) => line.includes('the Temporal server ended (SIGKILL)'))).toHaveLength(2);
    expect(lines.some((line) => line.includes('the judge worker ended (SIGKILL)'))).toBe(true);
    // The gpu worker's kill and the engine's cost a step each, the server's none, the judge's what it had at work: none to as many as it scores at once.
    expect(again.filter((stage) => stage !== 'rewardChains')).toEqual(['generateChains', 'computeGradients']);
    expect(again.length - 2).toBeLessThanOrEqual(4);
  }, 900_000);

  test('Ctrl-C in the middle of generation and of the RL step, each time the same command again', async () => {
    const installation = await fresh();
    const runId = 'stopped';
    for (const [stage, nth] of [
      ['generateChains', 6],
      ['computeGradients', 5],
    ] as const) {
      const stop = new AbortController();
      const ended = installation.train(runId, { signal: stop.signal });
      await untilLedger(installation, runId, computing(stage, nth));
      stop.abort();
      expect((await ended).outcome.state).toBe('running');
      expect(await livingProcesses(installation.home)).toEqual([]);
    }
    const { outcome, record } = await installation.train(runId);
    expect(outcome.state).toBe('done');
    expect(record.policy!.adapter!.sha256).toBe(undisturbed);
    expect(computedAgain(await installation.ledger(runId)).length).toBeLessThanOrEqual(2);
  }, 900_000);
});

interface Kill {
  when: (ledger: readonly LedgerEntry[]) => LedgerEntry | undefined;
  /** False where the moment was missed: it is tried again at the next computation. */
  kill: (at: LedgerEntry, installation: TestInstallation, runId: string) => Promise<boolean>;
}

type Victim = (at: LedgerEntry) => number | Promise<number>;

function atOnce(victim: Victim): Kill['kill'] {
  return async (at) => process.kill(await victim(at), 'SIGKILL');
}

/** Stops the process first and kills it only where its computation is still unfinished a moment later, so that work is really lost. */
function amidWork(victim: Victim): Kill['kill'] {
  return async (at, installation, runId) => {
    const pid = await victim(at);
    process.kill(pid, 'SIGSTOP');
    // What was already on its way to the worker arrives in this time, on a busy machine too.
    const ended = await endsWithin(4_000, async () =>
      (await installation.ledger(runId)).some((entry) => entry.msg === 'has' && entry.key === at.key),
    );
    process.kill(pid, ended ? 'SIGCONT' : 'SIGKILL');
    return !ended;
  };
}

/** True while the n-th computation of a stage is at work. */
function computing(stage: string, nth: number): Kill['when'] {
  return (ledger) => {
    const begun = ledger.filter((entry) => entry.stage === stage && entry.msg === 'computes');
    const newest = begun.at(-1);
    if (begun.length < nth || !newest) return undefined;
    return ledger.some((entry) => entry.msg === 'has' && entry.key === newest.key) ? undefined : newest;
  };
}

async function runWithKills(runId: string, kills: Kill[], given?: TestInstallation) {
  const installation = given ?? (await fresh());
  const running = installation.train(runId);
  const killed: string[] = [];
  const over = running.then(() => true);
  const killing = (async () => {
    for (const { when, kill } of kills) {
      for (;;) {
        const at = await Promise.race([untilLedger(installation, runId, when), over.then(() => undefined)]);
        if (!at) return;
        if (!(await kill(at, installation, runId))) continue;
        killed.push(at.stage);
        break;
      }
    }
  })();
  const { outcome, record, lines } = await running;
  await killing;
  return {
    killed,
    outcome: outcome.state,
    adapter: record.policy?.adapter?.sha256,
    lines,
    again: computedAgain(await installation.ledger(runId)),
  };
}

async function untilLedger(installation: TestInstallation, runId: string, when: Kill['when']): Promise<LedgerEntry> {
  for (let tries = 0; tries < 20_000; tries++) {
    const at = when(await installation.ledger(runId));
    if (at) return at;
    await sleep(5);
  }
  throw new Error('the moment to kill did not come');
}

async function endsWithin(milliseconds: number, ended: () => Promise<boolean>): Promise<boolean> {
  for (const until = Date.now() + milliseconds; Date.now() < until; await sleep(50)) if (await ended()) return true;
  return false;
}

interface RunningProcess {
  pid: number;
  command: string;
  environment: string;
}

/** Linux: all processes that may be looked at. */
async function processes(): Promise<RunningProcess[]> {
  const found: RunningProcess[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const read = (file: string): Promise<string> => readFile(join('/proc', name, file), 'utf8').catch(() => '');
    const status = await read('stat');
    if (status === '' || / Z /.test(status.slice(status.lastIndexOf(')')))) continue;
    found.push({ pid: Number(name), command: await read('cmdline'), environment: await read('environ') });
  }
  return found;
}

/** Workers, engines and servers of an installation that are still there. */
async function livingProcesses(home: string): Promise<string[]> {
  return (await processes())
    .filter(
      ({ pid, command, environment }) => pid !== process.pid && (command.includes(home) || environment.includes(home)),
    )
    .map(({ command }) => command.replaceAll('\0', ' '));
}
