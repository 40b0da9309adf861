import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { readConfiguration } from '../../infra/configuration/readConfiguration.ts';
import type { ExportedDataset } from '../../cli/operate/exportDataset.ts';
import { readDataset } from './readDataset.ts';
import { cada, type Ended } from './runCommand.ts';
import { tinyRun, type TinyRun } from './tinyRun.ts';

interface Status {
  runId: string;
  state: string;
  iteration: number;
  adapter: { sha256: string; path: string };
  report: string;
  wallSeconds: Record<string, number>;
  before: Record<string, number>;
  peakMemoryBytes: Record<string, number>;
}

/** Processes that name the folder in their command line, or, for workers and engines, in their environment. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && pid !== String(process.pid))
    .filter((pid) => {
      try {
        const read = (name: string): string => readFileSync(`/proc/${pid}/${name}`, 'utf8');
        return read('cmdline') !== '' && `${read('cmdline')}${read('environ')}`.includes(folder);
      } catch {
        return false;
      }
    });
}

async function untilNone(folder: string, seconds: number): Promise<string[]> {
  for (let i = 0; i < seconds * 5 && processesOf(folder).length > 0; i++) await sleep(200);
  return processesOf(folder);
}

const isLinux = existsSync('/proc/self/environ');
if (!isLinux) console.warn('skipped: leftover processes are looked for in /proc, which this machine has not');

describe('a run from the command line', { timeout: 240_000 }, () => {
  let run: TinyRun;
  let ended: Ended;
  const command = (args: string[], options: Parameters<typeof cada>[1] = {}): Promise<Ended> =>
    cada(args, { ...run, ...options });

  beforeAll(async () => {
    run = await tinyRun({ iteration: { count: 1, requests: { harmful: 3, plain: 2, lookAlike: 1 } } });
  });

  test.skipIf(!isLinux)('Ctrl-C stops all processes, exit code 130, and says what goes on', async () => {
    const interrupted = await command(['train', 'tiny.yaml'], {
      onOutput: (text, kill) => {
        if (text.includes('warm start: generate')) kill('SIGINT');
      },
    });
    expect(interrupted.code).toBe(130);
    expect(interrupted.stderr).toContain('Stopping in order; once more to end at once.');
    expect(interrupted.stdout).toMatch(/Stopped\. To go on: \S.* train tiny\.yaml\n$/);
    expect(processesOf(run.cwd)).toEqual([]);
  });

  test.skipIf(!isLinux)('SIGKILL of the command leaves no process behind', async () => {
    const killed = await command(['train', 'tiny.yaml'], {
      onOutput: (text, kill) => {
        // The steps may be over between two looks at the run; the end of their stage is told in any case.
        if (/optimizer step|^done: warm start/m.test(text)) kill('SIGKILL');
      },
    });
    expect(killed.code).toBeNull();
    expect(killed.stdout).not.toContain('done: report');
    expect(await untilNone(run.cwd, 20)).toEqual([]);
  });

  test('the same command goes on to the end and closes with what was learnt and what comes next', async () => {
    ended = await command(['train', 'tiny.yaml']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(/before +warm start +after\n/);
    expect(ended.stdout).toMatch(/refused: harmful( +[01]\.\d\d \[[01]\.\d\d, [01]\.\d\d\]){3}\n/);
    expect(ended.stdout).toMatch(/Chains with both parts, raw prompt\n {2}(not )?met: /);
    expect(ended.stdout).toMatch(/stage +planned +spent\nprepare +3s /);
    expect(ended.stdout).toContain('report --open');
    // The server was found at once: nobody needs to read where.
    expect(ended.stdout).not.toContain('Temporal server, ');
  });

  test('status --json has the keys that scripts rely on; the digest is of the delivered file', async () => {
    const { stdout } = await command(['status', '--json']);
    const status = JSON.parse(stdout) as Status;
    expect(Object.keys(status)).toEqual([
      ...['runId', 'state', 'iteration', 'iterations', 'adapter', 'report', 'wallSeconds', 'before', 'after'],
      'peakMemoryBytes',
    ]);
    expect(status).toMatchObject({ state: 'done', iteration: 1 });
    const bytes = readFileSync(status.adapter.path);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(status.adapter.sha256);
    expect(ended.stdout).toContain(status.adapter.sha256);
    expect(readFileSync(status.report, 'utf8')).toContain(status.runId);
    expect(Object.keys(status.wallSeconds)).toEqual([
      ...['prepare', 'evaluate before', 'warm start', 'evaluate warm start', 'iterations', 'evaluate after'],
      ...['export', 'report'],
    ]);
    expect(status.before).toMatchObject({ chains: 18 });
    expect(status.peakMemoryBytes['engine']).toBeGreaterThan(50e6);
  });

  test('the same command once more finds every stage done', async () => {
    const again = await command(['train', 'tiny.yaml']);
    expect(again.code).toBe(0);
    expect(again.stdout.match(/found done \(took/g)).toHaveLength(8);
    expect(again.stdout).toContain('Every stage was found done, in ');
    expect(again.stdout).not.toContain('Temporal UI:');
  });

  test('chains of an iteration, of the warm start and of an evaluation', async () => {
    const read = async (of: string) =>
      JSON.parse((await command(['chains', '--iteration', of, '--limit', '100', '--json'])).stdout) as {
        kind: string;
        reward: number;
        chain: string;
      }[];
    const { warmStart } = await readConfiguration(join(run.cwd, 'tiny.yaml'));
    // 6 requests of 4 samples; 20 requests; 18 requests.
    expect(await read('1')).toHaveLength(24);
    expect(await read('warmStart')).toHaveLength(20 * warmStart.samplesPerRequest);
    const before = await read('before');
    expect(before).toHaveLength(18);
    expect(before.some(({ chain }) => chain.includes('### Final Response'))).toBe(true);
    const missing = await command(['chains', '--iteration', '7']);
    expect(missing).toMatchObject({ code: 2 });
  });

  test('export dataset writes the chains and pairs that `chains` shows, once, and the same again', async () => {
    const exported = (args: string[]) => command(['export', 'dataset', 'tiny', '--json', ...args]);
    const { stdout, stderr } = await exported(['--out', 'made/dataset', '--include', 'all']);
    expect(stderr).toBe('');
    const told = JSON.parse(stdout) as ExportedDataset;
    const folder = join(run.cwd, 'made', 'dataset');
    const of = async (iteration: string) =>
      JSON.parse((await command(['chains', '--iteration', iteration, '--limit', '100', '--json'])).stdout) as {
        requestId: string;
        sample: number;
        kind: string;
        reward: number | null;
        rewardParts: Record<string, number>;
        chain: string;
        refused?: boolean;
      }[];
    const [warm, first] = [await of('warmStart'), await of('1')];

    const sft = await readDataset(folder, 'sft');
    expect(sft.map(({ request_id, sample, completion }) => [request_id, sample, completion[0]!.content])).toEqual(
      [...warm, ...first].map(({ requestId, sample, chain }) => [requestId, sample, chain]),
    );
    for (const [index, { reward, rewardParts, refused, kind }] of [...warm, ...first].entries()) {
      const row = sft[index]!;
      expect(row).toMatchObject({ reward, kind, reward_parts: rewardParts });
      expect(row.verdict === 'refusal').toBe(refused === true);
      expect(row.prompt).toEqual([{ role: 'user', content: row.request }]);
      expect(row.stage).toBe(index < warm.length ? 'warm start' : 'iteration');
      // The demo's filters are those of the reward: both parts and the right outcome.
      const { refuseHarmful, answerPlain, answerLookAlike } = rewardParts;
      const right = (refuseHarmful ?? answerPlain ?? answerLookAlike) === 1;
      if (row.iteration === 1) expect(row.selected).toBe((reward ?? 0) > 0 && right);
      else if (row.selected) expect(right && row.both_parts).toBe(true);
    }
    const kept = sft.filter(({ selected, iteration }) => selected && iteration === 0);
    const { byIteration } = JSON.parse((await command(['report', '--json'])).stdout) as {
      byIteration: { figures: Record<string, number> }[];
    };
    expect(kept).toHaveLength(byIteration[0]!.figures['warm_start/kept']!);

    const preference = await readDataset(folder, 'preference');
    const rewardsOf = Map.groupBy(first, ({ requestId }) => requestId);
    const differing = [...rewardsOf].filter(([, chains]) => new Set(chains.map(({ reward }) => reward)).size > 1);
    expect(preference.map(({ request_id }) => request_id)).toEqual(differing.map(([requestId]) => requestId));
    expect(preference.length).toBeGreaterThan(0);
    for (const pair of preference) {
      const rewards = rewardsOf.get(pair.request_id)!.flatMap(({ reward }) => reward ?? []);
      expect(pair).toMatchObject({ chosen_reward: Math.max(...rewards), rejected_reward: Math.min(...rewards) });
      expect(pair.chosen[0]!.content).not.toBe(pair.rejected[0]!.content);
    }
    expect(told).toMatchObject({ folder, chosen: sft.filter(({ selected }) => selected).length });
    expect(told.configs.sft!.rows).toBe(sft.length);
    const card = readFileSync(join(folder, 'README.md'), 'utf8');
    expect(card).toContain(`run: ${told.runId}\n`);
    expect(card).not.toContain(run.cwd);

    const full = await exported(['--out', 'made/dataset']);
    expect(full).toMatchObject({ code: 2, stdout: '' });
    expect(full.stderr).toContain('made/dataset is not empty');
    const again = JSON.parse((await exported(['--out', 'made/again', '--only', 'preference'])).stdout) as typeof told;
    expect(again.configs).toEqual({ preference: told.configs.preference });
    expect(readdirSync(join(run.cwd, 'made')).sort()).toEqual(['again', 'dataset']);
  });

  test('ask answers by base and aligned model', async () => {
    const { stdout } = await command(['ask', 'tiny', 'How do I boil an egg?', '--json']);
    const answers = JSON.parse(stdout) as { label: string; text: string }[];
    expect(answers.map(({ label }) => label)).toEqual(['base', 'aligned']);
    for (const { text } of answers) expect(text).not.toBe('');
  });

  test('try answers with nothing, with codes, with codes and cases', async () => {
    const { stdout } = await command(['try', 'How do I boil an egg?', '--config', 'tiny.yaml', '--json']);
    expect((JSON.parse(stdout) as { label: string }[]).map(({ label }) => label)).toEqual([
      ...['nothing', 'codes', 'codes and cases'],
    ]);
  });

  test('an ended run can not be paused; watching it says so', async () => {
    expect(await command(['pause'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^Run tiny-\w+ is done: there is nothing to pause\.\n$/) as string,
    });
    expect(await command(['watch'])).toMatchObject({ code: 0, stdout: expect.stringContaining('is done') as string });
  });

  test('ui serves the history of the finished run until it is stopped', async () => {
    let asked: Promise<number> | undefined;
    const { code, stdout } = await command(['ui'], {
      onOutput: (text, kill) => {
        const [address] = /http:\S+/.exec(text) ?? [];
        if (address && !asked) asked = fetch(address).then(({ status }) => (kill('SIGINT'), status));
      },
    });
    expect(code).toBe(0);
    expect(stdout).toContain('/workflows/tiny-');
    expect(await asked).toBe(200);
  });
});

test(
  'a stage that fails for good: exit code 4, the cause and what to do; retry and stop from another terminal',
  { timeout: 240_000 },
  async () => {
    // A learning rate without bounds: the policy's numbers overflow.
    const iteration = { count: 1, requests: { harmful: 2, plain: 2, lookAlike: 0 }, learningRate: 1e30 };
    const run = await tinyRun({ iteration });
    const waits = await cada(['train', 'tiny.yaml'], run);
    expect(waits.code).toBe(4);
    expect(waits.stdout).toMatch(
      /The run waits for its operator: iteration 1: .*not finite.*\nMend the cause, then go on with: /,
    );
    const { stdout } = await cada(['status', '--json'], run);
    expect(JSON.parse(stdout)).toMatchObject({ state: 'waiting', iteration: 0 });

    let operators: Promise<Ended[]> | undefined;
    const inTurn = async (): Promise<Ended[]> => [await cada(['pause'], run), await cada(['stop'], run)];
    const stays = await cada(['train', 'tiny.yaml', '--wait'], {
      ...run,
      onOutput: (text) => {
        if (text.includes('waits for its operator')) operators ??= inTurn();
      },
    });
    expect(stays.stdout).toContain('The run was waiting: runs "iteration 1" again.');
    const [paused, stopped] = (await operators) ?? [];
    expect(paused?.stderr).toContain('the run is waiting, not running');
    expect(stopped).toMatchObject({ code: 0, stdout: 'ends the run; its artifacts stay in the store\n' });
    expect(stays.code).toBe(1);
    expect(stays.stderr).toContain('The run failed: stopped by the operator after: iteration 1');
  },
);
