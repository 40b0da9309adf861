/** A release that a person approves, from the command line: tiny model, real engine, embedded server; killed while it waits. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { RunRecord } from '../../activities/types.ts';
import { openStore } from '../../infra/artifacts/artifactStore.ts';
import { listRuns, loadRun } from '../../infra/artifacts/runs.ts';
import { eventually } from '../servers/temporalServer.ts';
import { cada, type Ended } from './runCommand.ts';
import { tinyRun, type TinyRun } from './tinyRun.ts';

describe('approval from the command line', { timeout: 300_000 }, () => {
  let run: TinyRun;
  const command = (args: string[], options: Parameters<typeof cada>[1] = {}): Promise<Ended> =>
    cada(args, { ...run, ...options });

  const recorded = async (): Promise<RunRecord> => {
    const store = await openStore(join(run.cwd, '.cada', 'store'));
    const [runId] = await listRuns(store);
    return (await loadRun<RunRecord>(store, runId!))!.record;
  };

  beforeAll(async () => {
    run = await tinyRun({
      warmStart: { enabled: false },
      iteration: {
        count: 1,
        requests: { harmful: 2, plain: 1, lookAlike: 1 },
        samplesPerRequest: 4,
        klReference: 'base',
        learningRate: 3e-4,
      },
      evaluation: {
        requests: { harmful: 3, plain: 3, lookAlike: 0 },
        probe: { harmful: 0, plain: 0, lookAlike: 0 },
        bootstrapSamples: 100,
      },
      release: {
        criteria: [
          { figure: 'format', atLeast: -1 },
          { figure: 'refusal/harmful', over: 'base', atLeast: 1.5, by: 'interval' },
        ],
        approval: 'required',
        timeoutHours: 24,
        onTimeout: 'reject',
      },
    });
  });

  test('the run says what to type and waits; killed, it has not forgotten', async () => {
    const killed = await command(['train', 'tiny.yaml', '--by', 'Tim Trainer'], {
      onOutput: (text, kill) => {
        if (text.includes(' reject tiny-')) kill('SIGKILL');
      },
    });
    expect(killed.code).toBeNull();
    expect(killed.stdout).toMatch(
      /The run awaits approval: 1 of 2 criteria not met: refusal\/harmful, change over the base model .*In another terminal:\n.* report tiny-[0-9a-f]{8}\n.* approve tiny-[0-9a-f]{8} --by NAME --why "the reason" --despite "the reason"\n/s,
    );
    const status = JSON.parse((await command(['status', '--json'])).stdout) as Record<string, unknown>;
    expect(status).toMatchObject({
      state: 'waiting',
      release: {
        status: 'awaiting approval',
        met: false,
        criteria: [
          { figure: 'format', met: true },
          { figure: 'refusal/harmful', over: 'base', met: false },
        ],
      },
    });
    expect((await command(['status'])).stdout).toMatch(
      /state +awaiting approval.*\nrelease +awaiting approval, until /s,
    );
    const early = await command(['approve', 'tiny', '--by', 'Ann', '--why', 'fine']);
    expect(early.code).toBe(3);
    expect(early.stderr).toContain('No Temporal server is up');
  });

  const why = 'read <b>all</b> answers';

  test('the same command waits on; an approval from another terminal is in the record at once, whatever comes then', async () => {
    const approvals: Promise<Ended>[] = [];
    let decided: Promise<void> | undefined;
    const killed = await command(['train', 'tiny.yaml', '--by', 'Tim Trainer'], {
      onOutput: (text, kill) => {
        if (!text.includes(' reject tiny-') || approvals.length > 0) return;
        const approve = (...rest: string[]) => command(['approve', 'tiny', '--by', 'Ann', '--why', why, ...rest]);
        const unmet = approve();
        approvals.push(
          unmet,
          unmet.then(() => approve('--despite', 'a tiny model')),
        );
        decided = eventually(
          'the decision is recorded',
          async () => (await recorded()).release?.decision !== undefined,
        );
        decided.then(
          () => kill('SIGKILL'),
          () => kill('SIGTERM'),
        );
      },
    });
    await decided;
    expect(killed.stdout).not.toContain('release    promoted');
    const [unmet, approved] = await Promise.all(approvals);
    expect(unmet).toMatchObject({ code: 2, stdout: '' });
    expect(unmet!.stderr).toContain('1 of 2 criteria not met');
    expect(unmet!.stderr).toContain('--despite "the reason"');
    expect(approved).toMatchObject({ code: 0, stderr: '' });
    expect(approved!.stdout).toContain('the policy is promoted');
    expect((await recorded()).release!.decision).toMatchObject({ outcome: 'approved', by: 'Ann' });
  });

  test('its server lost too, it goes on from the record and keeps to the decision: a promoted model', async () => {
    // Of all that it had only the store is left.
    run.env = { ...run.env, CADA_STORE: join(run.cwd, '.cada', 'store'), CADA_HOME: join(run.cwd, 'another') };
    const { decision } = (await recorded()).release!;
    const ended = await command(['train', 'tiny.yaml', '--resume', '--by', 'Tim Trainer']);
    expect((await recorded()).release!.decision).toEqual(decision);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(/release +promoted\n +approved by Ann, .*: read <b>all<\/b> answers\n/);

    const { adapter, report } = JSON.parse((await command(['status', '--json'])).stdout) as {
      adapter: { path: string; sha256: string };
      report: string;
    };
    const exported = join(adapter.path, '..');
    const promoted = JSON.parse(readFileSync(join(exported, 'promoted.json'), 'utf8')) as Record<string, unknown>;
    expect(promoted).toMatchObject({
      adapterSha256: adapter.sha256,
      criteriaMet: false,
      approval: { outcome: 'approved', by: 'Ann', why, despite: 'a tiny model' },
    });
    expect(readFileSync(join(exported, 'README.md'), 'utf8')).toContain('* Status: **promoted**');
    expect(existsSync(join(exported, '..', 'merged', 'promoted.json'))).toBe(true);
    const page = readFileSync(report, 'utf8');
    expect(page).toContain('<h2>Release: promoted</h2>');
    expect(page).toContain('read &lt;b&gt;all&lt;/b&gt; answers');
    const json = JSON.parse((await command(['report', '--json'])).stdout) as Record<string, unknown>;
    expect(json).toMatchObject({ release: { status: 'promoted', decision: { by: 'Ann' } } });
  });

  test('the audit log tells the whole of it, and is whole', async () => {
    const { stdout, code } = await command(['audit', '--json']);
    expect(code).toBe(0);
    const { entries, whole } = JSON.parse(stdout) as { whole: boolean; entries: { who: string; what: string }[] };
    expect(whole).toBe(true);
    const told = entries.map(({ who, what }) => `${who}: ${what}`);
    expect(told.slice(0, 4)).toEqual([
      'Tim Trainer: run started',
      'release policy: release criteria evaluated',
      'release policy: approval asked',
      'Tim Trainer: run resumed',
    ]);
    // Before or after it was killed, and once.
    expect(told.slice(4).sort()).toEqual(['Ann: approved', 'Tim Trainer: run resumed', 'release policy: promoted']);
    expect((await command(['verify'])).code).toBe(0);
    const late = await command(['reject', 'tiny', '--by', 'Ben', '--why', 'too late']);
    expect(late.code).toBe(2);
    expect(late.stderr).toContain('is done: there is nothing to reject');
  });
});
