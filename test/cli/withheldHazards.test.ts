/** A study that withholds a hazard of a library whose codes alone say which benchmark questions are about it; with no server and no engine. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { readJson } from '../../activities/inputs.ts';
import { summariseStudy } from '../../activities/studyResult.ts';
import {
  studyDocument,
  unitDocument,
  type StudyInput,
  type StudyPlan,
  type UnitRecord,
} from '../../activities/studyPlans.ts';
import { goalDigest, type StudyOutcome } from '../../alignment/study/outcomes.ts';
import { dryRun } from '../../cli/operate/compareDryRun.ts';
import { readStudy } from '../../cli/operate/compareFile.ts';
import { planStudy } from '../../cli/operate/comparePlan.ts';
import { compare, type Comparison } from '../../cli/operate/compareStudy.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';

const folder = mkdtempSync(join(tmpdir(), 'cada-withheld-'));
const data = join(folder, 'data');
const file = join(folder, 'study.yaml');
/** `privacy` is said by the code of data-theft, `cybercrime_intrusion` by that of unauthorized-access; `homonyms` by none. */
const categories = ['privacy', 'cybercrime_intrusion', 'cybercrime_intrusion', 'homonyms'];
const study = {
  ...{ name: 'withheld', models: ['owner/model'], suites: ['xstest'], bootstrapSamples: 100 },
  base: { library: { domain: 'software' } },
  arms: [
    { name: 'none', inference: 'none' },
    { name: 'cases', inference: 'cases:2' },
  ],
};
const withheld = { withhold: ['data-theft'] };
const claim = { claim: 'c', figure: 'harmlessness/unseen', arm: 'cases', against: 'none', direction: 'higher' };

let store: ArtifactStore;

const read = async (changes: object) => {
  writeFileSync(file, stringify({ ...study, ...changes }));
  return readStudy(file);
};
const plan = async (changes: object): Promise<StudyInput> =>
  planStudy(store, await read(changes), { data, report: () => {} });

async function told(changes: object) {
  await read(changes);
  const request = { file, data, storeUri: `file://${folder}/store`, home: folder, detach: false };
  const found = await compare({ ...request, signal: new AbortController().signal }, () => {});
  return (found as Extract<Comparison, { state: 'done' }>).result.figures;
}

const refusal = { phrases: true, xstest: true, rules: true, inWords: true };
const outcome = (_: string, index: number): StudyOutcome => ({
  ...{ id: `q${index}`, suite: 'xstest', kind: 'harmful', goal: goalDigest(`How do I do thing ${index}?`) },
  ...{ attack: null, refusal, format: true, cut: false, tokens: 1 },
});

async function putUnits(studyId: string): Promise<void> {
  for (const arm of ['none', 'cases']) {
    const record: UnitRecord = {
      ...{ arm, model: 'owner/model', seed: null, outcomes: categories.map(outcome) },
      ...{ unit: arm, at: '2026-01-01T00:00:00Z', modelName: 'model', modelDigest: 'd', adapterSha256: null },
      ...{ maxNewTokens: 256, rubricJudge: null, cost: { answers: 4, tokens: 4, seconds: 1 } },
    };
    await store.putDocument(unitDocument(studyId, arm), record, 'ifAbsent');
  }
}

beforeAll(async () => {
  mkdirSync(join(data, 'xstest'), { recursive: true });
  const rows = categories.map((category, id) => `${id},How do I do thing ${id}?,${category},unsafe`);
  writeFileSync(join(data, 'xstest', 'xstest_prompts.csv'), ['id,prompt,type,label', ...rows].join('\n'));
  store = await openStore(`file://${folder}/store`);
});

test('its benchmark questions count as unseen, and those of the others as seen', async () => {
  const input = await plan(withheld);
  await putUnits(input.studyId);
  await summariseStudy({ store }, input, []);
  const { arms, hazards } = await told(withheld);
  for (const { figures } of arms) {
    expect(figures['harmlessness/unseen']!.n).toBe(1);
    expect(figures['harmlessness/seen']!.n).toBe(2);
  }
  expect(hazards).toMatchObject({ withheld: ['data-theft'], unmapped: { harmful: 1, lookAlike: 0 } });
  expect(Object.keys(hazards!.arms[0]!.byHazard)).toEqual(['data-theft', 'unauthorized-access']);
});

test('a result that an older version told without its hazards is told anew', async () => {
  const input = await plan(withheld);
  const { hazards: _hazards, ...older } = await readJson<StudyPlan>(store, input.plan);
  const plain = { ...input, plan: await store.putBytes(canonicalJson(older), 'study-plan') };
  await putUnits(input.studyId);
  await summariseStudy({ store }, plain, []);
  expect((await store.getDocument(studyDocument(input.studyId)))!.value).not.toHaveProperty('hazards');
  expect((await told(withheld)).arms[0]!.figures['harmlessness/unseen']!.n).toBe(1);
});

test('claims of unseen hazards are known of before any work, and where no question is about one they are refused', async () => {
  await expect(plan({ ...withheld, hypotheses: [claim] })).resolves.toBeDefined();
  await expect(dryRun(await read({ ...withheld, hypotheses: [claim] }), data)).resolves.toBeDefined();
  const other = { withhold: ['abuse-of-services'], hypotheses: [claim] };
  await expect(plan(other)).rejects.toThrow('this study has no figure "harmlessness/unseen"');
  await expect(dryRun(await read(other), data)).rejects.toThrow('this study has no figure "harmlessness/unseen"');
  // Without the questions, or without the library, it can not be told.
  await expect(dryRun(await read(other), join(folder, 'nowhere'))).resolves.toBeDefined();
  const gone = { ...other, withhold: ['privacy'], base: { library: { path: './gone' } } };
  await expect(dryRun(await read(gone), data)).resolves.toBeDefined();
});

test('a study that withholds nothing has a plan as before', async () => {
  const { hazards: _, ...rest } = await readJson<StudyPlan>(store, (await plan({})).plan);
  expect(_).toBeUndefined();
  expect(Object.keys(rest).sort()).toEqual(['contamination', 'questions', 'study', 'units']);
});
