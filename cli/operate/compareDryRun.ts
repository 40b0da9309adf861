/** What a study will take, and whether it could be begun here: reads and checks what lies on this machine, and asks nothing of the network or a store. */
import { existsSync } from 'node:fs';
import { benchmarkSizes } from '../../alignment/benchmarks/benchmarkNames.ts';
import { harmfulShare } from '../../alignment/benchmarks/kinds.ts';
import { isUtility, studySize, type SuiteQuestion } from '../../alignment/benchmarks/suites.ts';
import { utilityBenchmarks } from '../../alignment/benchmarks/utilityBenchmarks.ts';
import { templatesAmong, isSearched } from '../../alignment/attacks/attackNames.ts';
import { attackWork } from '../../alignment/configuration/attacks.ts';
import type { Configuration } from '../../alignment/configuration/schema.ts';
import { parseLibrary } from '../../alignment/library/parseLibrary.ts';
import type { Library } from '../../alignment/library/library.ts';
import { hazardsOf } from '../../alignment/library/withholdHazards.ts';
import { estimateRun } from '../../alignment/plan/estimateRun.ts';
import { modelMemory } from '../../alignment/plan/modelMemory.ts';
import { hazardOf, type StudyHazards } from '../../alignment/study/hazards.ts';
import { goalDigest } from '../../alignment/study/outcomes.ts';
import { unitsOf, type Study, type StudyUnit } from '../../alignment/study/studySchema.ts';
import { describeModel } from '../../engine/model/describe.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { runIdOf } from '../../infra/configuration/runId.ts';
import { resolveModel } from '../../infra/modelSource/resolveModel.ts';
import { cadaCache } from '../../infra/paths.ts';
import { badInput } from '../errors.ts';
import { hasSuite } from './benchmarkFiles.ts';
import { configurationOf, withheldBy, type ReadStudy } from './compareFile.ts';
import { checkFigures, checkPrompts, questionsOfSuite } from './comparePlan.ts';
import { checkLocalModel, checkPairs, checkRequests } from './inputChecks.ts';
import { readRunLibrary } from './libraryFiles.ts';
import { libraryPlaces, studyHazards, wholeLibraries } from './studyHazards.ts';

export interface DryUnit {
  unit: string;
  /** Of the run that trains it. */
  runId: string | null;
  /** At most: every answer and chain as long as it may be. */
  tokens: { answers: number; chains: number; trained: number };
  /** Weights, and what training keeps of each, in 32-bit floats; null: the model's size is not known. */
  memoryBytes: number | null;
}

export interface DryRun {
  name: string;
  units: DryUnit[];
  suites: { suite: string; questions: number; harmful: number; read: boolean }[];
  /** Of each unit: questions as they are and under attacks. */
  answersPerUnit: number;
  /** At most, of all units. */
  calls: { judge: number; attacker: number };
  /** What could not be looked at, and why. */
  unchecked: string[];
}

/** @throws CliError, ConfigurationError for everything that can be known to be wrong without the network. */
export async function dryRun(read: ReadStudy, data: string | undefined): Promise<DryRun> {
  const { study } = read;
  const unchecked = new Set<string>();
  const withheld = withheldBy(read);
  const exposed = withheld.length === 0 ? [] : await exposedCategories(read, withheld);
  const suites = await Promise.all(study.suites.map((one) => plannedSuite(study, one, { data, exposed })));
  for (const { suite, read: known } of suites)
    if (!known) unchecked.add(`${suite}: its file is not on this machine; numbers of questions are those published`);
  const questions = suites.flatMap((one) => one.sample);
  checkFigures(read, questions, await knownHazards(read, questions, withheld));

  const libraries = new Map<string, Library | undefined>();
  const libraryOf = async ({ library }: Configuration): Promise<Library | undefined> => {
    const place = canonicalJson(library).toString();
    if (!libraries.has(place)) libraries.set(place, await libraryAt(library, unchecked));
    return libraries.get(place);
  };
  const asked = await libraryOf(configurationOf(read, study.models[0]!));
  if (asked) checkPrompts(study, questions, asked);

  const harmful = suites.reduce((sum, one) => sum + one.harmful, 0);
  const searched = attackWork(study.attacks.filter(isSearched), study.attackSettings ?? {}, harmful);
  const all = suites.reduce((sum, one) => sum + one.questions, 0);
  const templates = templatesAmong(study.attacks).length;
  const answersPerUnit = all + harmful * templates + searched.evaluatedAnswers;
  const units: DryUnit[] = [];
  let runCalls = 0;
  for (const unit of unitsOf(study)) {
    const { configuration, arm } = settingsOf(read, unit);
    const library = await libraryOf(configuration);
    const trained = arm.configuration !== undefined;
    if (trained && library) requestsOf(configuration, library, { arm: arm.name, pairs: study.faithfulness === true });
    noteEndpoints(configuration, unchecked);
    const run = trained ? estimateRun(configuration) : undefined;
    runCalls += run?.judgeCalls ?? 0;
    const parameters = await parametersOf(configuration, unchecked);
    units.push({
      unit: unit.id,
      runId: trained ? runIdOf(configuration) : null,
      tokens: {
        answers: (answersPerUnit + searched.targetAnswers) * study.maxNewTokens,
        chains: run?.generatedTokens ?? 0,
        trained: run?.trainedTokens ?? 0,
      },
      memoryBytes: parameters === undefined ? null : modelMemory(configuration, parameters, trained),
    });
  }
  noteEndpoints({ judge: study.judge, attacker: study.attackSettings?.attacker }, unchecked);
  return {
    ...{ name: study.name, units, answersPerUnit },
    suites: suites.map(({ suite, questions: count, harmful: of, read: known }) => ({
      ...{ suite, questions: count, harmful: of, read: known },
    })),
    calls: {
      judge: runCalls + units.length * judgedAnswers(study, suites, searched, templates),
      attacker: units.length * searched.attackerCalls,
    },
    unchecked: [...unchecked],
  };
}

interface PlannedSuite {
  suite: Study['suites'][number]['suite'];
  questions: number;
  harmful: number;
  lookAlike: number;
  read: boolean;
  /** Its questions, or, where they are not known, one of each kind that it has. */
  sample: SuiteQuestion[];
}

async function plannedSuite(
  study: Study,
  one: Study['suites'][number],
  { data, exposed }: { data: string | undefined; exposed: readonly string[] },
): Promise<PlannedSuite> {
  const { suite } = one;
  if (hasSuite(suite, { data, cache: cadaCache() })) {
    const { chosen, attacked } = await questionsOfSuite(study, one, { data, report: () => {} });
    const count = (kind: SuiteQuestion['kind']): number => chosen.filter((question) => question.kind === kind).length;
    const [harmful, lookAlike] = [count('harmful'), count('look-alike')];
    return { suite, questions: chosen.length, harmful, lookAlike, read: true, sample: attacked };
  }
  const published = isUtility(suite) ? utilityBenchmarks[suite].size : benchmarkSizes[suite];
  const limit = 'limit' in one ? one.limit : undefined;
  const questions = limit === 'all' ? published : Math.min(published, limit ?? studySize(suite));
  const share = isUtility(suite) ? 0 : harmfulShare(suite);
  const harmful = Math.round(questions * share);
  const lookAlike = isUtility(suite) ? 0 : questions - harmful;
  const kinds: SuiteQuestion['kind'][] = [
    ...(harmful > 0 ? (['harmful'] as const) : []),
    ...(lookAlike > 0 ? (['look-alike'] as const) : []),
    ...(isUtility(suite) ? (['utility'] as const) : []),
  ];
  const sample = kinds.flatMap((kind) =>
    ['', ...exposed].map((category): SuiteQuestion => ({
      ...{ id: `${suite}/${kind}/${category}`, suite, kind, category },
      ...{ prompt: 'a question', goal: `a ${kind} question ${category}` },
    })),
  );
  return { suite, questions, harmful, lookAlike, read: false, sample };
}

/** A hazard that arms are shown and one that is withheld, so that the figures of both are known of where the questions are not. */
async function exposedCategories(read: ReadStudy, withheld: readonly string[]): Promise<string[]> {
  const known = isHere(read) ? (await wholeLibraries(read)).flatMap((library) => [...hazardsOf(library)]) : [];
  const seen = known.find((hazard) => !withheld.includes(hazard));
  return [...(seen === undefined ? [] : [seen]), ...withheld.slice(0, 1)];
}

/** Where a library is not on this machine every category counts as a hazard of it: what is claimed of hazards is then refused where its units are planned. */
async function knownHazards(
  read: ReadStudy,
  questions: readonly SuiteQuestion[],
  withheld: readonly string[],
): Promise<StudyHazards | undefined> {
  if (withheld.length === 0 || isHere(read)) return studyHazards(read, questions);
  return {
    ofGoal: new Map(questions.map(({ goal, category }) => [goalDigest(goal), hazardOf(category, [])])),
    withheld,
  };
}

const isHere = (read: ReadStudy): boolean =>
  libraryPlaces(read).every(({ path }) => path === undefined || existsSync(path));

/** Of one unit: harmful answers by the rubric, also those that an attack tries, and whether look-alike ones are refused. */
function judgedAnswers(
  { judge, leaks }: Study,
  suites: readonly PlannedSuite[],
  searched: ReturnType<typeof attackWork>,
  templates: number,
): number {
  if (!judge) return 0;
  const sum = (of: (one: PlannedSuite) => number): number => suites.reduce((total, one) => total + of(one), 0);
  const graded = sum(({ harmful }) => harmful) * (1 + templates) + searched.evaluatedAnswers;
  const votes = (judge.votes ?? 1) * (leaks ? 2 : 1);
  return graded * votes + searched.targetAnswers + sum(({ lookAlike }) => lookAlike);
}

function settingsOf(read: ReadStudy, { arm: name, model, seed }: StudyUnit) {
  const arm = read.study.arms.find((one) => one.name === name)!;
  const untouched = arm.configuration === undefined;
  return { arm, configuration: untouched ? configurationOf(read, model) : configurationOf(read, model, arm, seed!) };
}

async function libraryAt(settings: Configuration['library'], unchecked: Set<string>): Promise<Library | undefined> {
  const { path } = settings;
  if (path === undefined || existsSync(path)) {
    const { decontaminate, ...whole } = settings;
    if (decontaminate)
      unchecked.add(
        `what library.decontaminate leaves out (${decontaminate.join(', ')}): requests and cases are counted as they stand`,
      );
    return parseLibrary(await readRunLibrary(whole));
  }
  unchecked.add(`library ${path}: there is no such folder here, so requests and cases are not counted`);
  return undefined;
}

function requestsOf(
  configuration: Configuration,
  library: Library,
  { arm, pairs }: { arm: string; pairs: boolean },
): void {
  try {
    checkRequests(configuration, library);
    if (pairs) checkPairs(configuration, library);
  } catch (error) {
    throw badInput(`Arm "${arm}": ${(error as Error).message}`);
  }
}

async function parametersOf(configuration: Configuration, unchecked: Set<string>): Promise<number | undefined> {
  const { model, engine } = configuration;
  if (engine.device !== 'cpu') {
    const otherwise = engine.allowFallback ? 'where it does not work the CPU is used' : 'there is no fallback';
    unchecked.add(`device ${engine.device}: not tried; ${otherwise} (\`cada doctor\` says whether it works)`);
  }
  if (existsSync(model.source)) {
    await checkLocalModel(configuration);
    const { modelPath } = await resolveModel(model, { cachePath: cadaCache(), onProgress: () => {} });
    return (await describeModel({ modelPath })).parameters;
  }
  const [, count, unit] = /(?:^|[-_])(\d+(?:\.\d+)?)([bm])(?![a-z0-9])/i.exec(model.source.split('/').at(-1)!) ?? [];
  const parameters = count && Number(count) * (unit!.toLowerCase() === 'b' ? 1e9 : 1e6);
  const size = parameters ? `; memory is estimated for the ${count} ${unit!.toUpperCase()} of its name` : '';
  unchecked.add(
    `model ${model.source}: on the hub, so neither its files nor the right to fetch them were looked at${size}`,
  );
  return parameters || undefined;
}

interface Endpoints {
  judge?: { url: string; model: string } | undefined;
  teacher?: { url: string; model: string } | undefined;
  attacker?: { url: string; model: string } | undefined;
}

function noteEndpoints({ judge, teacher, attacker }: Endpoints, unchecked: Set<string>): void {
  for (const [name, endpoint] of Object.entries({ judge, teacher, attacker }))
    if (endpoint) unchecked.add(`${name} ${endpoint.model} at ${endpoint.url}: not asked whether it answers`);
}
