/** What a study has come to: figures of all its units, as a page, as JSON and as tables. */
import { similaritySettings, usesSimilarity } from '../alignment/configuration/caseSampling.ts';
import { armName, askedBare, type InferenceArm } from '../alignment/study/inferenceArm.ts';
import type { Contamination } from '../alignment/benchmarks/contamination.ts';
import type { SuiteQuestion } from '../alignment/benchmarks/suites.ts';
import type { Library } from '../alignment/library/library.ts';
import {
  hazardsAsStored,
  hazardsOfQuestions,
  type StoredHazards,
  type StudyHazards,
} from '../alignment/study/hazards.ts';
import { testHypotheses } from '../alignment/study/hypotheses.ts';
import type { StudyResult } from '../alignment/study/studyResult.ts';
import { latexTable, markdownTables } from '../alignment/study/studyTables.ts';
import { studyFigures } from '../alignment/study/studyFigures.ts';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readConfiguration, readJson, readLibrary, readLines } from './inputs.ts';
import {
  hypothesesDigest,
  studyDocument,
  unitDocument,
  type FailedUnit,
  type PlannedUnit,
  type StudyInput,
  type StudyPlan,
  type StudyRecord,
  type UnitRecord,
} from './studyPlans.ts';

/** @param failed units that came to nothing; others without figures are named as missing. */
export async function summariseStudy(
  { store }: Pick<ActivityDependencies, 'store'>,
  { studyId, plan: planned }: StudyInput,
  failed: readonly FailedUnit[],
): Promise<void> {
  const plan = await readJson<StudyPlan>(store, planned);
  const records: UnitRecord[] = [];
  const missing = [...failed];
  for (const { id } of plan.units) {
    const found = await store.getDocument<UnitRecord>(unitDocument(studyId, id));
    if (found) records.push(found.value);
    else if (!failed.some(({ unit }) => unit === id)) missing.push({ unit: id, cause: 'not run yet' });
  }
  const contamination = plan.contamination && (await readJson<Contamination[]>(store, plan.contamination));
  const result = {
    ...resultOf(studyId, plan, records, missing, await hazardsOfStudy(store, plan)),
    ...(contamination ? { contamination } : {}),
  };
  // Its charts are large, and needed here alone.
  const { renderStudyPage } = await import('../alignment/study/studyPage.ts');
  const put = (text: string, kind: string) => store.putBytes(text, kind);
  const hypotheses = hypothesesDigest(plan.study);
  const record: StudyRecord = {
    ...{ studyId, at: new Date().toISOString(), units: plan.units.length, failed: missing },
    ...(hypotheses ? { hypotheses } : {}),
    ...(plan.hazards ? { hazards: plan.hazards.sha256 } : {}),
    page: await put(renderStudyPage(result), 'study-page'),
    json: await put(canonicalJson(result), 'study-result'),
    markdown: await put(markdownTables(result), 'study-markdown'),
    latex: await put(latexTable(result), 'study-latex'),
  };
  await store.putDocument(studyDocument(studyId), record, 'replace');
}

/** Where the plan does not tell them (nothing is withheld, or an older version made it), by the libraries that its units are asked with. */
async function hazardsOfStudy(store: ArtifactStore, { units, questions, hazards }: StudyPlan): Promise<StudyHazards> {
  if (hazards) return hazardsAsStored(await readJson<StoredHazards>(store, hazards));
  const libraries: Library[] = [];
  let withheld: readonly string[] = [];
  for (const { evaluation } of units) {
    libraries.push(await readLibrary(store, evaluation));
    const { withhold = [] } = (await readConfiguration(store, evaluation)).library;
    if (withhold.length > 0) withheld = withhold;
  }
  return hazardsOfQuestions(await readLines<SuiteQuestion>(store, questions), libraries, withheld);
}

function resultOf(
  studyId: string,
  plan: StudyPlan,
  records: UnitRecord[],
  failed: FailedUnit[],
  hazards: StudyHazards,
): StudyResult {
  const { study, units } = plan;
  const judge = records.find(({ rubricJudge }) => rubricJudge !== null)?.rubricJudge;
  const guardJudge = records.find((record) => record.guardJudge !== undefined)?.guardJudge;
  const settings = {
    refusalBy: study.refusalBy,
    ...(judge ? { rubricJudge: judge } : {}),
    ...(guardJudge === undefined ? {} : { guardJudge }),
    hazards,
    bootstrapSamples: study.bootstrapSamples,
    seed: String(study.questionSeed),
  };
  const incomplete = units.filter(({ id }) => failed.some(({ unit }) => unit === id));
  return {
    studyId,
    name: study.name,
    settings: {
      seeds: study.seeds,
      suites: study.suites,
      attacks: study.attacks,
      maxNewTokens: study.maxNewTokens,
      questionSeed: study.questionSeed,
      bootstrapSamples: study.bootstrapSamples,
    },
    arms: study.arms.map(({ name }) => describedArm(name, units)),
    models: study.models.map((model) => {
      const record = records.find((one) => one.model === model);
      return { model, name: record?.modelName ?? model, digest: record?.modelDigest ?? null };
    }),
    units: records.map(({ unit, arm, model, seed, runId, adapterSha256 }) => ({
      ...{ unit, arm, model, seed, runId: runId ?? null, adapterSha256 },
    })),
    failed,
    figures: studyFigures(records, settings),
    ...(study.hypotheses
      ? { hypotheses: testHypotheses(study.hypotheses, records, { ...settings, models: study.models, incomplete }) }
      : {}),
  };
}

function describedArm(name: string, units: readonly PlannedUnit[]): StudyResult['arms'][number] {
  const { training, inference } = units.find(({ arm }) => arm === name)!;
  const { layout } = inference ?? askedBare;
  const asked = [
    inference ? armName(inference) : 'none',
    ...(inference && inference.cases > 0 ? casesInWords(inference) : []),
    ...(layout === askedBare.layout ? [] : ['as text']),
  ].join('; ');
  return { name, trained: training !== undefined, asked };
}

/** What an arm's name does not say of its cases. */
function casesInWords(inference: InferenceArm): string[] {
  const { sampling, order } = inference;
  const nearness = usesSimilarity(inference) ? ` by ${similaritySettings(inference).by}` : '';
  return [
    ...(sampling === askedBare.sampling ? [] : [`cases ${sampling}${order ? '' : nearness}`]),
    ...(order ? [`in order ${order}${nearness}`] : []),
  ];
}
