/** Publishes what a study needs, so that any machine with the store can work at it. */
import { readJson } from '../../activities/inputs.ts';
import { runPlan } from '../../activities/runPlan.ts';
import type { PlannedUnit, StudyInput, StudyPlan } from '../../activities/studyPlans.ts';
import type { ArtifactRef, RunContext, RunRecord } from '../../activities/types.ts';
import { templatesAmong } from '../../alignment/attacks/attackNames.ts';
import {
  contaminationTable,
  librarySources,
  suiteTexts,
  type BenchmarkTexts,
  type TextSource,
} from '../../alignment/benchmarks/contamination.ts';
import { attackQuestions, selectQuestions, studySize, type SuiteQuestion } from '../../alignment/benchmarks/suites.ts';
import { usesEmbeddings } from '../../alignment/configuration/caseSampling.ts';
import type { Configuration } from '../../alignment/configuration/schema.ts';
import { parseLibrary } from '../../alignment/library/parseLibrary.ts';
import { armPrompt } from '../../alignment/study/armPrompt.ts';
import { storedHazards, type StudyHazards } from '../../alignment/study/hazards.ts';
import { partsOf } from '../../alignment/study/hypothesisSchema.ts';
import { isBare } from '../../alignment/study/inferenceArm.ts';
import { comparedFigures } from '../../alignment/study/plannedFigures.ts';
import { unitsOf, type Study, type StudyArm, type StudyUnit } from '../../alignment/study/studySchema.ts';
import type { ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { sha256 } from '../../infra/artifacts/digest.ts';
import { loadRun } from '../../infra/artifacts/runs.ts';
import { runIdOf } from '../../infra/configuration/runId.ts';
import { cadaCache } from '../../infra/paths.ts';
import { badInput } from '../errors.ts';
import { searchedAttacks, tellAttackWork } from './attackPlan.ts';
import { benchmarksIn, readBenchmarks, readSuite } from './benchmarkFiles.ts';
import { configurationOf, guardOf, withheldBy, type ReadStudy } from './compareFile.ts';
import { readRunLibrary } from './libraryFiles.ts';
import { studyHazards } from './studyHazards.ts';

export interface PlanOptions {
  /** Folder of the user's own copies of the benchmarks. */
  data: string | undefined;
  report: (line: string) => void;
}

/** @throws CliError, ConfigurationError for everything that can be known to be wrong before any work. */
export async function planStudy(store: ArtifactStore, read: ReadStudy, options: PlanOptions): Promise<StudyInput> {
  const { study } = read;
  // Told before a benchmark is fetched.
  withheldBy(read);
  const guard = guardOf(read);
  const questions = await questionsOf(study, options);
  const hazards = await studyHazards(read, questions);
  checkFigures(read, questions, hazards);
  const publishing = new Publishing(store, read, options);
  const units: PlannedUnit[] = [];
  for (const unit of unitsOf(study)) units.push(await publishing.unit(unit));
  checkPrompts(study, questions, await publishing.library());
  const contamination = contaminationTable(await publishing.sources(), textsOf(study, questions));
  const asked = await store.putBytes(questions.map((one) => `${JSON.stringify(one)}\n`).join(''), 'suite-questions');
  // By what the study says and is made of, not by where its files lie on this machine.
  const libraries = [...new Set(units.map(({ evaluation }) => evaluation.library.sha256))].sort();
  const searched = searchedAttacks(study.attacks, study.attackSettings);
  tellAttackWork(study.attacks, study.attackSettings, questions, options.report);
  const { hypotheses: _hypotheses, ...named } = study;
  const said = { study: named, base: read.base, questions: asked.sha256, libraries };
  const studyId = `${study.name}-${sha256(canonicalJson(said)).slice(0, 8)}`;
  const plan: StudyPlan = {
    study,
    questions: asked,
    contamination: await store.putBytes(canonicalJson(contamination), 'contamination'),
    ...(hazards ? { hazards: await store.putBytes(canonicalJson(storedHazards(hazards)), 'study-hazards') } : {}),
    ...(guard ? { guard: await store.putBytes(canonicalJson(guard), 'guard-settings') } : {}),
    ...(study.judge ? { judge: await store.putBytes(canonicalJson(study.judge), 'judge-settings') } : {}),
    ...(searched ? { attacks: await store.putBytes(canonicalJson(searched), 'attack-settings') } : {}),
    units: units.map((unit) => ({ ...unit, evaluation: { ...unit.evaluation, runId: studyId } })),
  };
  return {
    studyId,
    plan: await store.putBytes(canonicalJson(plan), 'study-plan'),
    units: units.length,
    parallel: study.parallel,
  };
}

class Publishing {
  private readonly store: ArtifactStore;
  private readonly read: ReadStudy;
  private readonly options: PlanOptions;
  private readonly files = new Map<string, Promise<Record<string, string>>>();
  private readonly checkedModels = new Set<string>();

  constructor(store: ArtifactStore, read: ReadStudy, options: PlanOptions) {
    this.store = store;
    this.read = read;
    this.options = options;
  }

  async unit(unit: StudyUnit): Promise<PlannedUnit> {
    const { study } = this.read;
    const arm = study.arms.find(({ name }) => name === unit.arm)!;
    const trained = arm.configuration !== undefined;
    const own = trained
      ? configurationOf(this.read, unit.model, arm, unit.seed!)
      : configurationOf(this.read, unit.model);
    await this.checkModel(own);
    return {
      ...unit,
      evaluation: await this.evaluation(own),
      ...(arm.inference && !isBare(arm.inference) ? { inference: arm.inference } : {}),
      ...(trained ? { training: await this.training(own, arm) } : {}),
    };
  }

  /** The library that questions are asked with. */
  async library() {
    return parseLibrary(await this.libraryFiles(configurationOf(this.read, this.read.study.models[0]!)));
  }

  /** Requests and cases of the libraries that its arms are trained, chosen or prompted with. */
  async sources(): Promise<TextSource[]> {
    const libraries = await Promise.all([...this.files.values()]);
    return libraries.flatMap((files, index) => {
      const named = libraries.length > 1 ? ` (library ${index + 1})` : '';
      return librarySources(parseLibrary(files)).map((source) => ({ ...source, name: source.name + named }));
    });
  }

  /** The same headings, engine and adapter settings as in the run: they decide what the policy computes. */
  private async evaluation(own: Configuration): Promise<RunContext> {
    const { study } = this.read;
    const configuration: Configuration = {
      ...own,
      name: 'evaluation',
      seed: study.questionSeed,
      chain: { ...own.chain, maxNewTokens: study.maxNewTokens },
      evaluation: {
        ...own.evaluation,
        bootstrapSamples: study.bootstrapSamples,
        ...(study.leaks ? { leaks: true } : {}),
        ...(study.faithfulness && !own.evaluation.faithfulness ? { faithfulness: {} } : {}),
      },
    };
    return {
      runId: study.name,
      configuration: await this.put(configuration, 'configuration'),
      library: await this.put(await this.libraryFiles(own), 'library'),
    };
  }

  private async training(configuration: Configuration, arm: StudyArm): Promise<PlannedUnit['training'] & object> {
    const runId = runIdOf(configuration);
    const record = (await loadRun<RunRecord>(this.store, runId))?.record;
    const benchmarks = record
      ? benchmarksIn(await readJson<Record<string, string>>(this.store, record.library))
      : await readBenchmarks(
          configuration.evaluation.benchmarks,
          { data: this.options.data, cache: cadaCache() },
          this.options.report,
        );
    const files = { ...(await this.libraryFiles(configuration)), ...benchmarks };
    const { checkPairs, checkRequests } = await import('./inputChecks.ts');
    try {
      const library = parseLibrary(files);
      checkRequests(configuration, library);
      if (this.read.study.faithfulness) checkPairs(configuration, library);
    } catch (error) {
      throw badInput(`Arm "${arm.name}": ${(error as Error).message}`);
    }
    const published = await this.put(files, 'library');
    return {
      run: {
        runId,
        configuration: await this.put(configuration, 'configuration'),
        library: record?.library ?? published,
      },
      plan: runPlan(configuration),
    };
  }

  private async checkModel(configuration: Configuration): Promise<void> {
    const { source } = configuration.model;
    if (this.checkedModels.has(source)) return;
    const { checkLocalModel } = await import('./inputChecks.ts');
    await checkLocalModel(configuration);
    this.checkedModels.add(source);
  }

  private libraryFiles({ library }: Configuration): Promise<Record<string, string>> {
    const key = canonicalJson(library);
    const places = { data: this.options.data, cache: cadaCache() };
    const files = this.files.get(key) ?? readRunLibrary(library, { places, note: this.options.report });
    this.files.set(key, files);
    return files;
  }

  private put(value: unknown, kind: string): Promise<ArtifactRef> {
    return this.store.putBytes(canonicalJson(value), kind);
  }
}

async function questionsOf(study: Study, { data, report }: PlanOptions): Promise<SuiteQuestion[]> {
  const questions: SuiteQuestion[] = [];
  for (const one of study.suites) {
    const { all, chosen, attacked } = await questionsOfSuite(study, one, { data, report });
    const more = attacked.length - chosen.length;
    report(`${one.suite}: ${chosen.length} of ${all.length} questions${more > 0 ? `, and ${more} under attacks` : ''}`);
    questions.push(...attacked);
  }
  return questions;
}

/** All that it has, those of the study, and these with what its template attacks make of them. */
export async function questionsOfSuite(
  { questionSeed, attacks }: Study,
  one: Study['suites'][number],
  { data, report }: PlanOptions,
) {
  const seed = String(questionSeed);
  const all = await readSuite(one.suite, { data, cache: cadaCache() }, report);
  const limit = 'limit' in one ? one.limit : undefined;
  const count = limit === 'all' ? all.length : (limit ?? studySize(one.suite));
  const chosen = selectQuestions(all, count, seed);
  return { all, chosen, attacked: attackQuestions(chosen, templatesAmong(attacks), seed) };
}

/** The chosen questions, each suite by itself, without what the study's attacks make of them (their ids end in the attack's name). */
function textsOf({ suites, attacks }: Study, questions: readonly SuiteQuestion[]): BenchmarkTexts[] {
  const isOriginal = ({ id }: SuiteQuestion): boolean => !attacks.some((attack) => id.endsWith(`@${attack}`));
  return suites.map(({ suite }) =>
    suiteTexts(
      suite,
      questions.filter((one) => one.suite === suite && isOriginal(one)),
    ),
  );
}

/** A hypothesis of a figure that no answer will have is told before any is given. */
export function checkFigures(
  { study, file }: ReadStudy,
  questions: readonly SuiteQuestion[],
  hazards: StudyHazards | undefined,
): void {
  const known = comparedFigures(study, questions, hazards);
  for (const [index, hypothesis] of (study.hypotheses ?? []).entries()) {
    for (const { figure } of partsOf(hypothesis)) {
      if (known.includes(figure)) continue;
      throw badInput(
        `${file}, hypotheses.${index}: this study has no figure "${figure}".`,
        `Its figures are ${known.join(', ')} (docs/studies.md).`,
      );
    }
  }
}

/** A library with too few cases is told now, not after hours. */
export function checkPrompts(
  study: Study,
  questions: readonly SuiteQuestion[],
  library: ReturnType<typeof parseLibrary>,
): void {
  const headings = { analysisHeading: '-', responseHeading: '-' };
  for (const { name, inference } of study.arms) {
    if (!inference) continue;
    try {
      // Whether there are enough pairs does not depend on what makes them near: there are no vectors yet.
      const byWords = usesEmbeddings({ ...inference, count: inference.cases })
        ? { ...inference, similarity: undefined }
        : inference;
      for (const question of questions) armPrompt(question, byWords, library, headings, String(study.questionSeed));
    } catch (error) {
      throw badInput(`Arm "${name}": ${(error as Error).message}.`);
    }
  }
}
