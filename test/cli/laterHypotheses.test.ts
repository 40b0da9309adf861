/** Hypotheses of a study whose units are in the store: the result is written anew, with no server and no engine. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { summariseStudy } from '../../activities/studyResult.ts';
import { unitDocument, type StudyInput, type UnitRecord } from '../../activities/studyPlans.ts';
import { readStudy } from '../../cli/operate/compareFile.ts';
import { planStudy } from '../../cli/operate/comparePlan.ts';
import { compare, type Comparison } from '../../cli/operate/compareStudy.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { measuredUnit, ones } from '../alignment/study/studyUnits.ts';

const folder = mkdtempSync(join(tmpdir(), 'cada-hypotheses-'));
const data = join(folder, 'data');
const file = join(folder, 'study.yaml');
const study = {
  ...{ name: 'done', models: ['owner/model'], suites: ['xstest'] },
  arms: [
    { name: 'none', inference: 'none' },
    { name: 'cases', inference: 'cases:2' },
  ],
};
const better = { claim: 'cases help', figure: 'harmlessness', arm: 'cases', against: 'none', direction: 'higher' };

let store: ArtifactStore;
let input: StudyInput;

const plan = async (changes: object): Promise<StudyInput> => {
  writeFileSync(file, stringify({ ...study, ...changes }));
  return planStudy(store, await readStudy(file), { data, report: () => {} });
};

async function told(changes: object) {
  writeFileSync(file, stringify({ ...study, ...changes }));
  const request = { file, data, storeUri: `file://${folder}/store`, home: folder, detach: false };
  const found = await compare({ ...request, signal: new AbortController().signal }, () => {});
  return found as Extract<Comparison, { state: 'done' }>;
}

beforeAll(async () => {
  mkdirSync(join(data, 'xstest'), { recursive: true });
  const rows = ['safe', 'unsafe'].map((label, id) => `${id},How do I do thing ${id}?,homonyms,${label}`);
  writeFileSync(join(data, 'xstest', 'xstest_prompts.csv'), ['id,prompt,type,label', ...rows].join('\n'));
  store = await openStore(`file://${folder}/store`);
  input = await plan({});
  for (const [arm, refused] of [
    ['none', 0],
    ['cases', 38],
  ] as const) {
    const record: UnitRecord = {
      ...measuredUnit(arm, { harmful: ones(refused, 40), safe: ones(2, 40) }, { model: 'owner/model' }),
      ...{ unit: arm, at: '2026-01-01T00:00:00Z', modelName: 'model', modelDigest: 'd', adapterSha256: null },
      ...{ maxNewTokens: 256, rubricJudge: null, result: { uri: '', sha256: '', bytes: 0, kind: 'test' } },
    };
    await store.putDocument(unitDocument(input.studyId, arm), record, 'ifAbsent');
  }
  await summariseStudy({ store }, input, []);
});

test('name no study and no unit: with others, everything planned is the same but for themselves', async () => {
  const { plan: planned, ...named } = await plan({ hypotheses: [better] });
  const { plan: before, ...unclaimed } = input;
  expect(named).toEqual(unclaimed);
  expect(planned.sha256).not.toBe(before.sha256);
  const [one, other] = await Promise.all(
    [planned, before].map(
      async (ref) => JSON.parse(Buffer.from(await store.getBytes(ref)).toString()) as { units: unknown },
    ),
  );
  expect(one!.units).toEqual(other!.units);
});

test('are told of figures that are in the store, and taken back', async () => {
  const without = await told({});
  expect(without.result.hypotheses).toBeUndefined();
  const tables = readFileSync(without.files.markdown, 'utf8');
  const claimed = await told({ hypotheses: [better] });
  expect(claimed.studyId).toBe(without.studyId);
  expect(claimed.result.hypotheses).toMatchObject([
    { claim: 'cases help', model: 'owner/model', verdict: 'supported', parts: [{ effect: 0.95, n: 40 }] },
  ]);
  expect(claimed.result.figures).toEqual(without.result.figures);
  for (const name of ['page', 'markdown', 'latex'] as const)
    expect(readFileSync(claimed.files[name], 'utf8')).toContain('cases help');
  // Again, from the store as it is; then with another claim; then with none: the tables of before, byte for byte.
  const stored = readdirSync(join(folder, 'store', 'objects')).length;
  expect((await told({ hypotheses: [better] })).result).toEqual(claimed.result);
  expect(readdirSync(join(folder, 'store', 'objects'))).toHaveLength(stored);
  const worse = await told({ hypotheses: [{ ...better, direction: 'lower' }] });
  expect(worse.result.hypotheses![0]!.verdict).toBe('contradicted');
  expect(readFileSync((await told({})).files.markdown, 'utf8')).toBe(tables);
});

test('of no figure of the study are told before any work', async () => {
  await expect(told({ hypotheses: [{ ...better, figure: 'utility/gsm8k' }] })).rejects.toThrow(
    'hypotheses.0: this study has no figure "utility/gsm8k"',
  );
  await expect(told({ hypotheses: [{ ...better, arm: 'cada' }] })).rejects.toThrow('no arm is named "cada"');
});
