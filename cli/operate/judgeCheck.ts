/** Reads published labelled answers from a folder and holds judges against them. */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseAttackArtifacts, parseXstestAnswers } from '../../alignment/benchmarks/labelledAnswers.ts';
import {
  checkAgainstArtifacts,
  checkAgainstPeople,
  checkPublishedLabels,
  checkStringLabels,
  type ArtifactJudgeCheck,
  type LabelledFile,
  type NamedJudge,
  type StringLabelCheck,
  type XstestJudgeCheck,
} from '../../alignment/judges/judgeCheck.ts';
import type { Judge } from '../../alignment/judges/judge.ts';
import { createPhraseJudge } from '../../alignment/judges/publishedPhrases.ts';
import { createRuleJudge } from '../../alignment/judges/ruleJudge.ts';
import { createEnsemble } from '../../alignment/judges/votes.ts';
import { judgeByXstestStrings } from '../../alignment/judges/xstestStrings.ts';
import { gradingSettings, judgeKeyVariable, type JudgeSettings } from '../../alignment/configuration/judge.ts';
import { jailbreakQuestion, refusalJudgement, refusalQuestion } from '../../alignment/judges/outcomeQuestions.ts';
import { parseLibrary } from '../../alignment/library/parseLibrary.ts';
import { seededOrder } from '../../alignment/randomness/seededRandom.ts';
import { createOutcomeJudge, storedReplies } from '../../activities/endpointJudge.ts';
import { openKeyedEndpoint } from '../../activities/endpointPool.ts';
import { openStore } from '../../infra/artifacts/artifactStore.ts';
import { badInput } from '../errors.ts';
import { readLibraryFiles } from './libraryFiles.ts';

/** What `cada judge-check --json` prints; docs/evaluation.md describes it. */
export interface JudgeCheckReport {
  stringLabels: StringLabelCheck;
  xstest: { answers: number; judges: XstestJudgeCheck[] };
  /** null where the folder holds no attack artifacts. */
  jailbreakbench: { answers: number; judges: ArtifactJudgeCheck[] } | null;
}

/** The judges that need nothing but the library. */
export async function libraryJudges(libraryPath?: string): Promise<NamedJudge[]> {
  const { judges } = parseLibrary(await readLibraryFiles({ path: libraryPath }));
  const rules = createRuleJudge(judges.refusal);
  const phrases = createPhraseJudge(judges.publishedPhrases);
  return [
    { name: 'XSTest strings', judge: judgeByXstestStrings },
    { name: '29 phrases', judge: phrases },
    { name: 'library rules', judge: rules },
    { name: 'library rules, in words', judge: inWords(rules) },
    {
      name: 'majority of strings, phrases, words',
      judge: createEnsemble([judgeByXstestStrings, phrases, inWords(rules)], 'majority'),
    },
  ];
}

/** A judge behind an endpoint, asked two questions about each answer; its replies are kept in the store. */
export async function endpointJudge(settings: JudgeSettings, storeUri: string): Promise<NamedJudge> {
  const endpoint = openKeyedEndpoint(settings, judgeKeyVariable);
  const replies = storedReplies(await openStore(storeUri));
  const refusal = createOutcomeJudge(endpoint, gradingSettings(settings), replies, refusalQuestion);
  const jailbreak = createOutcomeJudge(endpoint, gradingSettings(settings), replies, jailbreakQuestion);
  return {
    name: settings.model,
    judge: async (judged) => {
      const { answer, unscorable } = await refusal(judged);
      return answer === null ? { unscorable: unscorable ?? 'no answer' } : refusalJudgement(answer);
    },
    jailbroken: async (judged) => (await jailbreak(judged)).answer,
  };
}

/** A refusal in words counts, whatever follows it: long refusals lecture, and the rules take that for content. */
function inWords(judge: Judge): Judge {
  return (judged) => {
    const judgement = judge(judged);
    if ('unscorable' in judgement || !judgement.refusalWithContent) return judgement;
    return { ...judgement, verdict: 'refusal' };
  };
}

const xstestFile = /^xstest_v2_completions_(.+?)(_streval|_gpteval)?\.csv$/;

/**
 * @throws CliError where the folder holds no labelled answers of XSTest, or a file is not as published.
 */
export async function checkJudges(
  folder: string,
  judges: readonly NamedJudge[],
  /** Answers of each file at most, the first of a seeded order; the string labels are always checked on all. */
  limit = Infinity,
): Promise<JudgeCheckReport> {
  const names = await readdir(folder, { recursive: true }).catch((error: Error) => {
    throw badInput(`The folder ${folder} cannot be read: ${error.message}`, 'Name the folder of the data with --data.');
  });
  const xstestNames = names.filter((name) => xstestFile.test(basename(name))).sort();
  if (xstestNames.length === 0) {
    throw badInput(
      `There are no labelled answers of XSTest (xstest_v2_completions_<model>.csv) in ${folder}.`,
      'They are in model_completions/ and evaluation/automated_evaluation_labels/ of github.com/paul-rottger/exaggerated-safety.',
    );
  }
  const files = await Promise.all(
    xstestNames.map(async (name) => ({
      file: basename(name),
      model: xstestFile.exec(basename(name))![1]!,
      answers: await read(join(folder, name), parseXstestAnswers),
    })),
  );
  const artifactNames = names
    .filter((name) => /attack-artifacts.*\.json$/.test(name) && basename(name) !== 'attack-info.json')
    .sort();
  const artifacts = await Promise.all(
    artifactNames.map(async (name) => ({
      file: name.split(/[\\/]/).slice(-3).join('/'),
      model: basename(name, '.json'),
      answers: await read(join(folder, name), parseAttackArtifacts),
    })),
  );
  const onePerModel = oneOfEachModel(files).map((file) => part(file, limit, ({ id }) => id));
  const judgedArtifacts = artifacts.map((file) => part(file, limit, ({ index }) => String(index)));
  const published = checkPublishedLabels('GPT-4 (published)', files);
  return {
    stringLabels: checkStringLabels(files),
    xstest: {
      answers: onePerModel.reduce((sum, { answers }) => sum + answers.length, 0),
      judges: [
        ...(await Promise.all(judges.map((judge) => checkAgainstPeople(judge, onePerModel)))),
        ...(published ? [published] : []),
      ],
    },
    jailbreakbench:
      artifacts.length === 0
        ? null
        : {
            answers: judgedArtifacts.flatMap(({ answers }) => answers).filter(({ response }) => response !== null)
              .length,
            judges: await Promise.all(judges.map((judge) => checkAgainstArtifacts(judge, judgedArtifacts))),
          },
  };
}

function part<T>(file: LabelledFile<T>, limit: number, idOf: (answer: T) => string): LabelledFile<T> {
  return { ...file, answers: seededOrder(file.answers, idOf, 'judge-check').slice(0, limit) };
}

/** The same answers are in several files, with other labels beside people's. */
function oneOfEachModel<T>(files: readonly LabelledFile<T>[]): LabelledFile<T>[] {
  return files.filter(({ model }, index) => files.findIndex((other) => other.model === model) === index);
}

async function read<T>(path: string, parse: (text: string) => T): Promise<T> {
  const content = await readFile(path, 'utf8');
  try {
    return parse(content);
  } catch (error) {
    throw badInput(
      `${path} is not as it was published: ${(error as Error).message}.`,
      'Take a fresh copy of the file.',
    );
  }
}
