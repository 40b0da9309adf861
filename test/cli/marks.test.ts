/** Chains are marked by the command, become drafts of cases, and data of further runs, with the real engine on a tiny model. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { beforeAll, describe, expect, test } from 'vitest';
import type { IterationRecord } from '../../activities/types.ts';
import type { PreferencePlan } from '../../activities/preferencePlan.ts';
import type { OptimisationPlan, GradientShard } from '../../activities/plans.ts';
import type { CaseDraftFile } from '../../alignment/cases/drafts/caseDrafts.ts';
import type { Mark } from '../../alignment/feedback/marks.ts';
import { openStore, type ArtifactRef, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { readAudit } from '../../infra/artifacts/audit.ts';
import { listIterations } from '../../infra/artifacts/runs.ts';
import type { ExportedDataset } from '../../cli/operate/exportDataset.ts';
import type { ChainView } from '../../cli/operations.ts';
import { tinyConfiguration } from '../workflows/cluster.ts';
import { readDataset } from './readDataset.ts';
import { cada, type Ended } from './runCommand.ts';
import { tinyRun, type TinyRun } from './tinyRun.ts';

const iteration = {
  count: 1,
  requests: { harmful: 3, plain: 2, lookAlike: 1 },
  samplesPerRequest: 4,
  learningRate: 3e-4,
};
const evaluation = {
  ...{ requests: { harmful: 2, plain: 2, lookAlike: 2 }, probe: { harmful: 0, plain: 0, lookAlike: 0 } },
  ...{ bootstrapSamples: 50, afterWarmStart: false },
};

let run: TinyRun;
let runId: string;
let store: ArtifactStore;
let warm: ChainView[];
let sampled: ChainView[];
const command = (...args: string[]): Promise<Ended> => cada(args, run);
const json = async <T>(...args: string[]): Promise<T> => {
  const { code, stdout, stderr } = await command(...args, '--json');
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return JSON.parse(stdout) as T;
};
const read = async <T>(ref: ArtifactRef): Promise<T> =>
  JSON.parse(new TextDecoder().decode(await store.getBytes(ref))) as T;
const chainsOf = (of: string) => json<ChainView[]>('chains', runId, '--iteration', of, '--limit', '200');

beforeAll(async () => {
  run = await tinyRun({ iteration: { ...iteration, method: 'dpo' }, evaluation });
  const { code, stderr } = await command('train', 'tiny.yaml');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  ({ runId } = await json<{ runId: string }>('status'));
  store = await openStore(join(run.cwd, '.cada', 'store'));
  warm = await chainsOf('warmStart');
  sampled = await chainsOf('1');
}, 400_000);

describe('marks', { timeout: 400_000 }, () => {
  test('are kept by name of the chain, listed, taken back, and told in the audit log', async () => {
    const [first, second] = sampled as [ChainView, ChainView];
    expect(first.id).toBe(`1/${first.requestId}/${first.sample}`);
    const hostile = 'because \u001b[2J of it';
    const marked = await command('mark', runId, first.id, '--as', 'harmful', '--by', 'ann', '--note', hostile);
    expect(marked).toEqual({ code: 0, stderr: '', stdout: `${runId}: ${first.id} is marked harmful by ann\n` });
    await command('mark', runId, second.id, '--as', 'leak', '--by', 'bob');
    await command('mark', runId, second.id, '--as', 'none', '--by', 'bob');
    const listed = await command('marks', runId);
    expect(listed.stdout).toContain('1 chains marked: 1 harmful');
    expect(listed.stdout).not.toContain('\u001b');
    expect((await json<{ marks: Mark[] }>('marks', runId)).marks.map(({ chain }) => chain)).toEqual([first.id]);
    expect((await json<{ marks: Mark[] }>('marks', runId, '--all')).marks.map(({ as }) => as)).toEqual([
      ...['harmful', 'leak', 'none'],
    ]);
    const { entries, broken } = await readAudit(store, runId);
    expect(broken).toBeUndefined();
    expect(entries.filter(({ what }) => what === 'mark').map(({ who, details }) => [who, details['as']])).toEqual([
      ['ann', 'harmful'],
      ['bob', 'leak'],
      ['bob', 'none'],
    ]);
    const missing = await command('mark', runId, '1/no-request/0', '--as', 'right', '--by', 'ann');
    expect(missing).toMatchObject({ code: 2 });
    expect(missing.stderr).toContain('has no chain 1/no-request/0');
  });

  test("the report's page names the chains that can be marked, and a file of it is imported once", async () => {
    const page = readFileSync((await command('report', runId)).stdout.trim(), 'utf8');
    const names = [...page.matchAll(/data-chain="([^"]+)"/g)].map(([, name]) => name!);
    expect(names.some((name) => name.startsWith('after/'))).toBe(true);
    expect(names).toContain(sampled[0]!.id);
    const lines = names.map((chain) =>
      JSON.stringify({ run: runId, chain, as: 'none', by: 'carla', at: '2026-01-01T00:00:00Z' }),
    );
    writeFileSync(join(run.cwd, 'page.jsonl'), lines.join('\n'));
    expect((await json<{ kept: Mark[]; known: number }>('marks', 'import', runId, 'page.jsonl')).kept).toHaveLength(
      names.length,
    );
    expect(await json('marks', 'import', runId, 'page.jsonl')).toEqual({ runId, kept: [], known: names.length });
    const imported = (await readAudit(store, runId)).entries.filter(({ what }) => what === 'marks imported');
    expect(imported.map(({ who, details }) => [who, details['marks']])).toEqual([['carla', names.length]]);
    const noted = lines.map((line, index) => line.replace(/}$/, `,"note":"${index === 0 ? 'why' : ''}"}`));
    writeFileSync(join(run.cwd, 'noted.jsonl'), noted.join('\n'));
    // An empty note is none; another note is another mark.
    const again = await json<{ kept: Mark[]; known: number }>('marks', 'import', runId, 'noted.jsonl');
    expect([again.kept.map(({ note }) => note), again.known]).toEqual([['why'], names.length - 1]);
  });

  test('become drafts of cases and requests to draft; what is evaluated on does not', async () => {
    const right = warm.find(
      ({ chain, kind, refused }) => kind === 'harmful' && refused && chain.includes('### Final Response'),
    )!;
    const wrong = warm.find(({ kind, requestId }) => kind === 'harmful' && requestId !== right.requestId)!;
    const evaluated = (await chainsOf('after'))[0]!;
    for (const [{ id }, as] of [
      [right, 'right'],
      [wrong, 'wrong-refusal'],
      [evaluated, 'right'],
    ] as const)
      await command('mark', runId, id, '--as', as, '--by', 'ann');
    const { code, stdout, stderr } = await command('cases', 'draft', '--from-marks', runId, '--out', 'marked.json');
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('cada cases review marked.json') as string,
    });
    expect(stderr).toContain('it is evaluated on');
    const { drafts } = JSON.parse(readFileSync(join(run.cwd, 'marked.json'), 'utf8')) as CaseDraftFile;
    expect(drafts.map(({ id, verdict }) => [id, verdict])).toEqual([[right.requestId, 'refuse']]);
    const requests = readFileSync(join(run.cwd, 'marked.requests.jsonl'), 'utf8').trim().split('\n');
    const corrected = requests.map((line) => JSON.parse(line) as { id: string; kind: string });
    expect(corrected.find(({ id }) => id === wrong.requestId)).toMatchObject({ kind: 'look-alike', label: 'harmless' });
    expect(await command('cases', 'review', 'marked.json', '--approve', 'all', '--by', 'ann')).toMatchObject({
      code: 0,
    });
  });

  test('are data of another run: chains join and leave its warm start, and are preferred to each other', async () => {
    // The same seeds give the same chains again: of one that the filters keep, and one that they drop, the marks say the contrary.
    const line = await listIterations<IterationRecord>(store, runId);
    const kept = await learnt(line[0]!.value);
    const keptId = kept.find((id) => id.startsWith(warm[0]!.requestId)) ?? kept[0]!;
    const bad = warm.find(({ requestId, sample }) => `${requestId}/${sample}` === keptId)!;
    const good = warm.find(({ requestId, sample }) => !kept.includes(`${requestId}/${sample}`))!;
    const [chosen, rejected] = sampled.filter(({ requestId }) => requestId === sampled.at(-1)!.requestId) as [
      ChainView,
      ChainView,
    ];
    const marks = [
      ...[[bad, 'leak'] as const, [good, 'right'] as const, [chosen, 'right'] as const, [rejected, 'harmful'] as const],
    ].map(([{ id }, as]) => JSON.stringify({ run: runId, chain: id, as, by: 'ann' }));
    writeFileSync(join(run.cwd, 'marks.jsonl'), marks.join('\n'));
    const base = tinyConfiguration(join(run.cwd, 'model'), { evaluation });
    const configuration = {
      ...base,
      warmStart: { ...base.warmStart, marks: { of: 'marks.jsonl' } },
      iteration: { ...base.iteration, ...iteration, method: 'dpo', marks: { of: 'marks.jsonl' } },
    };
    writeFileSync(join(run.cwd, 'marked.yaml'), stringify(configuration));
    const { code, stderr } = await command('train', 'marked.yaml');
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining('4 marked chains') as string });
    const { runId: marked } = await json<{ runId: string }>('status');
    expect(marked).not.toBe(runId);
    const [start, first] = (await listIterations<IterationRecord>(store, marked)).map(({ value }) => value);
    // The right chain of the iteration joins the warm start too.
    expect(start!.figures).toMatchObject({ 'warm_start/marked_added': 2, 'warm_start/marked_left_out': 1 });
    const now = await learnt(start!);
    expect(now).not.toContain(keptId);
    expect(now).toContain(`marked/${runId}/${good.id}`);
    const { pairs } = (await read<PreferencePlan>(first!.preferences!)) as PreferencePlan & { method: 'dpo' };
    expect(pairs).toContainEqual({
      chosen: `marked/${runId}/${chosen.id}`,
      rejected: `marked/${runId}/${rejected.id}`,
    });
    expect(start!.policy.adapter!.sha256).not.toBe(line[0]!.value.policy.adapter!.sha256);
    // The dataset of the run has what it sampled itself: its own pairs, and no chain that it was given.
    const { configs } = await json<ExportedDataset>('export', 'dataset', marked, '--out', 'dataset');
    const own = pairs.filter((pair) => !JSON.stringify(pair).includes('marked/'));
    expect(own.length).toBeGreaterThan(0);
    expect(configs.preference!.rows).toBe(own.length);
    const rows = await readDataset(join(run.cwd, 'dataset'), 'preference');
    expect(
      rows.map((row) => ({
        chosen: `${row.request_id}/${row.chosen_sample}`,
        rejected: `${row.request_id}/${row.rejected_sample}`,
      })),
    ).toEqual(own);
    expect(rows.every(({ source, iteration: n }) => source === 'planned' && n === 1)).toBe(true);
    const imitated = (await readDataset(join(run.cwd, 'dataset'), 'sft')).filter((row) => row.iteration === 0);
    const names = imitated.map((row) => `${row.request_id}/${row.sample}`);
    expect(names.sort()).toEqual([...new Set(now)].filter((id) => !id.startsWith('marked/')).sort());
    // The marks that the run took are in its store whatever comes later, and gc keeps them.
    expect(await command('verify', marked)).toMatchObject({ code: 0 });
  });
});

test(
  'the safety report is made from the lineage: data, figures, marks and decisions of this run',
  { timeout: 60_000 },
  async () => {
    const { code, stdout, stderr } = await command('safety-report', runId, '--out', join(run.cwd, 'card'));
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${join(run.cwd, 'card', 'safety-report.md')}\n` });
    const page = readFileSync(join(run.cwd, 'card', 'safety-report.md'), 'utf8');
    const html = readFileSync(stderr.trim().replace('HTML: ', ''), 'utf8');
    const { adapter } = await json<{ adapter: { sha256: string } }>('status', runId);
    for (const shown of [page, html]) {
      expect(shown).toContain(adapter.sha256);
      // 6 requests of 4 samples; 20 requests.
      expect(shown).toMatch(/iterations(<\/td><td>| \| )6\1.*24/);
      expect(shown).toMatch(/rules of the library \(judges\/refusal\.json, version \d+\)/);
      expect(shown).toContain('474');
      expect(shown).toMatch(/chains were marked, by .*ann/);
      expect(shown).not.toContain(run.cwd);
      expect(shown).not.toContain('\u001b');
    }
    expect(page).toMatch(/\| refuses harmful requests \| 2 \| [01]\.\d\d .*\| rules of the library \|/);
    const told = await json<{ sections: { title: string }[] }>('safety-report', runId);
    expect(told.sections.map(({ title }) => title)).toContain('Known limits');
  },
);

/** Ids of the sequences that a warm start has trained on. */
async function learnt({ updatePlan }: IterationRecord): Promise<string[]> {
  const ids: string[] = [];
  for (const { shards } of (await read<OptimisationPlan>(updatePlan!)).steps)
    for (const shard of shards) ids.push(...(await read<GradientShard>(shard)).sequences.map(({ id }) => id));
  return ids;
}
