/** A judge held against published labels: XSTest's, which people gave, and those of JailbreakBench's attack artifacts. */
import { xstestLabels, type ArtifactAnswer, type XstestAnswer } from '../benchmarks/labelledAnswers.ts';
import { agreementOf, confusionOf, type Agreement, type JudgedLabel } from './agreement.ts';
import type { Judgement, JudgedText } from './judge.ts';
import { xstestRefusalOpening } from './xstestStrings.ts';

export interface NamedJudge {
  name: string;
  judge: (judged: JudgedText) => Judgement | Promise<Judgement>;
  /** Whether a response does what was asked; null = unscorable. Absent = told from `judge`: what does not refuse. */
  jailbroken?: (judged: JudgedText) => Promise<boolean | null>;
}

/** Answers of one model, as one file holds them. */
export interface LabelledFile<T> {
  /** Name of the file, without its folder. */
  file: string;
  model: string;
  answers: T[];
}

export interface StringLabelCheck {
  answers: number;
  equal: number;
  equalToPublished: boolean;
  byFile: { file: string; answers: number; equal: number; differing: string[] }[];
}

/** Whether our string judge says of every answer what XSTest's published string labels say. Files without those labels are passed over. */
export function checkStringLabels(files: readonly LabelledFile<XstestAnswer>[]): StringLabelCheck {
  const byFile = files.flatMap(({ file, answers }) => {
    const labelled = answers.filter(({ strings }) => strings !== undefined);
    if (labelled.length === 0) return [];
    const differing = labelled.filter(({ answer, strings }) => {
      const ours = xstestRefusalOpening(answer) === undefined ? '1_full_compliance' : '2_full_refusal';
      return ours !== strings;
    });
    return [
      {
        file,
        answers: labelled.length,
        equal: labelled.length - differing.length,
        differing: differing.map(({ id }) => id),
      },
    ];
  });
  const answers = byFile.reduce((sum, one) => sum + one.answers, 0);
  const equal = byFile.reduce((sum, one) => sum + one.equal, 0);
  return { answers, equal, equalToPublished: answers > 0 && equal === answers, byFile };
}

const said = ['compliance', 'refusal', 'unusable', 'unscorable'] as const;

/** Agreement on one set of XSTest answers. */
export interface XstestAgreement {
  /** Refusal (full or partial, by people) or not. Unusable counts as no refusal; unscorable answers are left out. Null where none is left. */
  refusal: Agreement | null;
  /** The same over the answers that people called a full refusal or a full compliance. */
  withoutPartial: Agreement | null;
  /** Answers by people's label, then by what the judge said. */
  byClass: Record<string, Record<string, number>>;
}

export interface XstestJudgeCheck extends XstestAgreement {
  judge: string;
  unscorable: number;
  /** Over the answers to safe and to unsafe prompts. */
  safe: Agreement | null;
  unsafe: Agreement | null;
  byFile: ({ file: string; model: string } & XstestAgreement)[];
}

interface Said {
  answer: XstestAnswer;
  said: (typeof said)[number];
}

/** Agreement of a judge with people's labels, over all files and by file. */
export async function checkAgainstPeople(
  { name, judge }: NamedJudge,
  files: readonly LabelledFile<XstestAnswer>[],
): Promise<XstestJudgeCheck> {
  const judged: { file: string; model: string; rows: Said[] }[] = [];
  for (const { file, model, answers } of files) {
    const rows = await Promise.all(
      answers.map(async (answer): Promise<Said> => {
        const judgement = await judge({ request: answer.prompt, finalResponse: answer.answer });
        return { answer, said: 'unscorable' in judgement ? 'unscorable' : judgement.verdict };
      }),
    );
    judged.push({ file, model, rows });
  }
  return xstestCheck(name, judged);
}

/** Agreement of labels that are published beside people's (GPT-4's), over the files that have them; undefined where none has. */
export function checkPublishedLabels(
  name: string,
  files: readonly LabelledFile<XstestAnswer>[],
): XstestJudgeCheck | undefined {
  const judged = files.flatMap(({ file, model, answers }) => {
    const rows = answers.flatMap((answer): Said[] =>
      answer.gpt4 === undefined ? [] : [{ answer, said: saidBy(answer.gpt4) }],
    );
    return rows.length === 0 ? [] : [{ file, model, rows }];
  });
  return judged.length === 0 ? undefined : xstestCheck(name, judged);
}

/** A partial refusal counts as a refusal; a reply that is no label is unscorable. */
function saidBy(label: string): Said['said'] {
  if (!xstestLabels.some((one) => one === label)) return 'unscorable';
  return label === '1_full_compliance' ? 'compliance' : 'refusal';
}

function xstestCheck(judge: string, judged: { file: string; model: string; rows: Said[] }[]): XstestJudgeCheck {
  const all = judged.flatMap(({ rows }) => rows);
  return {
    judge,
    unscorable: all.filter((row) => row.said === 'unscorable').length,
    ...xstestAgreement(all),
    safe: refusalAgreement(all.filter(({ answer }) => answer.safe)),
    unsafe: refusalAgreement(all.filter(({ answer }) => !answer.safe)),
    byFile: judged.map(({ file, model, rows }) => ({ file, model, ...xstestAgreement(rows) })),
  };
}

function xstestAgreement(rows: readonly Said[]): XstestAgreement {
  return {
    refusal: refusalAgreement(rows),
    withoutPartial: refusalAgreement(rows.filter(({ answer }) => answer.human !== '3_partial_refusal')),
    byClass: confusionOf(
      rows.map((row) => ({ label: row.answer.human, said: row.said })),
      xstestLabels,
      said,
    ),
  };
}

function refusalAgreement(rows: readonly Said[]): Agreement | null {
  const labels = rows
    .filter((row) => row.said !== 'unscorable')
    .map((row): JudgedLabel => ({
      label: row.answer.human === '1_full_compliance' ? 'compliance' : 'refusal',
      said: row.said === 'refusal' ? 'refusal' : 'compliance',
    }));
  return labels.length === 0 ? null : agreementOf(labels);
}

export interface ArtifactJudgeCheck {
  judge: string;
  unscorable: number;
  /** Jailbroken or not, by JailbreakBench's judge; by ours, whether the answer does not refuse. Null where there are no answers. */
  jailbroken: Agreement | null;
  byFile: { file: string; model: string; jailbroken: Agreement | null }[];
}

/**
 * Agreement with the labels of JailbreakBench's artifacts, over the attacks that have a response. The judge is asked about the goal, not about the
 * attack's prompt. A judge of refusal can't agree wholly: an answer may neither refuse nor do what was asked.
 */
export async function checkAgainstArtifacts(
  named: NamedJudge,
  files: readonly LabelledFile<ArtifactAnswer>[],
): Promise<ArtifactJudgeCheck> {
  let unscorable = 0;
  const byFile: { file: string; model: string; labels: JudgedLabel[] }[] = [];
  for (const { file, model, answers } of files) {
    const said = await Promise.all(
      answers.map(({ goal, response }) =>
        response === null ? undefined : isJailbroken(named, { request: goal, finalResponse: response }),
      ),
    );
    const labels = answers.flatMap(({ jailbroken }, index): JudgedLabel[] => {
      const one = said[index];
      if (one === undefined) return [];
      if (one !== null) return [{ label: nameOf(jailbroken), said: nameOf(one) }];
      unscorable += 1;
      return [];
    });
    byFile.push({ file, model, labels });
  }
  const agreement = (labels: JudgedLabel[]): Agreement | null => (labels.length === 0 ? null : agreementOf(labels));
  return {
    judge: named.name,
    unscorable,
    jailbroken: agreement(byFile.flatMap(({ labels }) => labels)),
    byFile: byFile.map(({ file, model, labels }) => ({ file, model, jailbroken: agreement(labels) })),
  };
}

async function isJailbroken({ judge, jailbroken }: NamedJudge, judged: JudgedText): Promise<boolean | null> {
  if (jailbroken) return jailbroken(judged);
  const judgement = await judge(judged);
  return 'unscorable' in judgement ? null : judgement.verdict === 'compliance';
}

const nameOf = (jailbroken: boolean): string => (jailbroken ? 'jailbroken' : 'not jailbroken');
