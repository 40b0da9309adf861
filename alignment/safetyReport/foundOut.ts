/** Sections of a safety report about what was found out: figures, decisions, marks, incidents, compute, reproducibility, limits. */
import type { Change } from '../evaluation/comparison.ts';
import { smallestDifference } from '../evaluation/power.ts';
import { countMarks, currentMarks } from '../feedback/marks.ts';
import { requestKinds } from '../library/library.ts';
import {
  benchmarkRows,
  evaluationRows,
  exposureRows,
  type EvaluationRow,
  type MeasuredBy,
} from '../report/evaluationRows.ts';
import * as format from '../report/format.ts';
import { list, table, text, type Block, type Section } from './blocks.ts';
import { criterionCells } from '../report/releaseCard.ts';
import type { SafetyData } from './safetyData.ts';

/** What a set must be able to show, or it is called small. */
const wantedDifference = 0.1;

export function figures(data: SafetyData): Section {
  const { evaluations, configuration, comparisons } = data;
  const rows = [...evaluationRows(evaluations), ...exposureRows(evaluations), ...benchmarkRows(evaluations)];
  const small = rows.filter((row) => (powerOf(row) ?? 0) > wantedDifference).length;
  const shares = rows.filter((row) => powerOf(row) !== undefined).length;
  return {
    title: 'Figures',
    blocks: [
      text(
        `Requests of the split ${configuration.evaluation.split}, raw prompt (no codes, no cases), greedy. Brackets: 95 % intervals, Wilson for shares.`,
      ),
      table(
        ['measure', 'n', ...evaluations.map(({ name }) => name), 'judge', 'shows from'],
        rows.map((row) => [
          ...[row.label, String(row.n), ...row.cells, judgeName(row.by, data)],
          shownPower(powerOf(row)),
        ]),
        'The run has not been evaluated yet.',
      ),
      ...(shares > 0
        ? [
            text(
              `"Shows from" is the smallest difference between the first and the last evaluation that a two-sided test at 5 % finds with 80 % power, for two independent sets of this size with these shares (two successes and two failures added to each). ${small} of ${shares} shares are of sets too small to show a difference of ${wantedDifference.toFixed(2)}: an equal figure there is no sign of an equal model.`,
            ),
          ]
        : []),
      ...(comparisons
        ? [
            text('Changes, request by request, with 95 % paired bootstrap intervals:'),
            table(
              ['measure', 'pairs', 'after − before', ...(comparisons.fromWarmStart ? ['after − warm start'] : [])],
              changeRows(comparisons),
              '',
            ),
            text('Headlines that CADA sets every run:'),
            ...list(
              comparisons.headlines.map(({ text: words, target, value, interval, met, id }) => {
                const show = id === 'format' ? format.number : format.signed;
                const verdict = met === null ? 'reported' : met ? 'met' : 'not met';
                return `${words}: ${show(value)} ${format.interval(interval, show)} (${target === null ? 'no target' : `target: ${target}`}; ${verdict})`;
              }),
            ),
          ]
        : [text('The run has no evaluation before and after to compare.')]),
    ],
  };
}

/** Undefined where the row is no share, or of one evaluation alone. */
function powerOf({ rates }: EvaluationRow): number | undefined {
  const measured = (rates ?? []).filter((rate) => rate !== null);
  const [first, last] = [measured[0], measured.at(-1)];
  return first && last && measured.length > 1 ? smallestDifference(first, last) : undefined;
}

/** In a set of very few no difference that there can be is found. */
const shownPower = (difference: number | undefined): string =>
  difference !== undefined && difference >= 1 ? 'nothing' : format.number(difference);

function judgeName(by: MeasuredBy, { configuration }: SafetyData): string {
  switch (by) {
    case 'rules':
      return 'rules of the library';
    case 'phrases':
      return 'published phrases';
    case 'guard':
      return 'guard model';
    case 'rubric':
      return configuration.judge?.model ?? 'rubric judge';
    case 'form':
      return 'none: form and length';
    case 'rewards':
      return 'the rewards of the run';
    case 'base model':
      return 'none: log-probabilities';
  }
}

function changeRows({ fromBefore, fromWarmStart }: NonNullable<SafetyData['comparisons']>): string[][] {
  const columns = [fromBefore, ...(fromWarmStart ? [fromWarmStart] : [])];
  const row = (label: string, changes: (Change | null)[]): string[] => [
    label,
    String(changes[0]?.pairs ?? 0),
    ...changes.map(format.change),
  ];
  return [
    row(
      'both parts present',
      columns.map((one) => one.format),
    ),
    ...requestKinds.map((kind) =>
      row(
        `refusals, ${kind}`,
        columns.map((one) => one.refusal[kind]),
      ),
    ),
    row(
      'harmful − plain',
      columns.map((one) => one.gapPlain),
    ),
    row(
      'harmful − look-alike',
      columns.map((one) => one.gapLookAlike),
    ),
  ];
}

export function decisions({ audit, release, configuration }: SafetyData): Section {
  const { broken, head } = audit;
  // A page of marks would hide the decisions.
  const entries = audit.entries.filter(({ what }) => what !== 'mark' && what !== 'marks imported');
  const marking = audit.entries.length - entries.length;
  return {
    title: 'Release criteria, approvals and other decisions',
    blocks: [
      ...(release ? releaseBlocks(release) : [text(unjudged(configuration.release))]),
      table(
        ['entry', 'at', 'who', 'what', 'why'],
        entries.map(({ number, at, who, what, why }) => [String(number), minute(at), who, what, why ?? '']),
        'No decisions are recorded.',
      ),
      ...(marking > 0 ? [text(`${marking} more entries are about marks of reviewers: see there.`)] : []),
      ...(broken
        ? [
            text(
              `The audit log is not whole: entry ${broken.number} ${broken.fault}. What follows it can not be relied on.`,
            ),
          ]
        : []),
      ...(head && !broken
        ? [text(`The audit log is whole; its newest entry is ${head.number}, digest ${head.sha256}.`)]
        : []),
    ],
  };
}

function unjudged(asked: SafetyData['configuration']['release']): string {
  return asked
    ? 'The configuration has release criteria or asks for approval; the run has not come to that yet.'
    : 'The configuration has no release criteria and asks for no approval.';
}

function releaseBlocks({ status, verdict, decision }: NonNullable<SafetyData['release']>): Block[] {
  return [
    text(`Status of the final model: ${status}.`),
    ...(decision
      ? [
          text(
            `${decision.outcome} by ${decision.by}, ${minute(decision.at)}: ${decision.why}${decision.despite === undefined ? '' : ` (although not all criteria are met: ${decision.despite})`}`,
          ),
        ]
      : []),
    table(
      ['criterion', 'asked', 'value', 'n', 'met'],
      verdict.criteria.map((criterion) => {
        const [name, asked, value, met] = criterionCells(criterion);
        return [name, asked, value, String(criterion.n), met];
      }),
      'No criterion was set.',
    ),
  ];
}

export function reviewers({ marks }: SafetyData): Section {
  const current = currentMarks(marks);
  const counts = Object.entries(countMarks(current)).map(([verdict, count]) => `${verdict}: ${count}`);
  const people = [...new Set(current.map(({ by }) => by))].sort();
  return {
    title: 'What reviewers marked',
    blocks:
      current.length === 0
        ? [text('No chain was marked by a reviewer.')]
        : [
            text(
              `${current.length} chains were marked, by ${people.join(', ')}. Reviewers choose what they read: these are no shares of all chains.`,
            ),
            ...list(counts),
          ],
  };
}

export function incidents({ course, givenUp, unscorable, state, cause }: SafetyData): Section {
  const lines = [
    ...course.map(({ told, by, at }) => `${minute(at)}, ${by}: ${told}`),
    ...(givenUp > 0 ? [`${givenUp} iterations were computed and given up`] : []),
    ...unscorable
      .filter(({ chains }) => chains > 0)
      .map(({ part, chains, of }) => `${part}: ${chains} of ${of} chains without a reward`),
    ...(state === 'waiting' || state === 'failed' ? [`The run is ${state}: ${cause ?? 'no cause is recorded'}`] : []),
  ];
  return {
    title: 'Incidents',
    blocks:
      lines.length > 0
        ? list(lines)
        : [text('None is recorded: no change of course, no chain without a reward, no wait.')],
  };
}

export function compute({ wallSeconds, used, peakMemoryBytes }: SafetyData): Section {
  const total = Object.values(wallSeconds).reduce((sum, seconds) => sum + seconds, 0);
  return {
    title: 'Compute',
    blocks: [
      ...list([
        `${(total / 3600).toFixed(2)} hours by the clock, all stages together`,
        ...(used
          ? [
              `${used.generatedTokens} tokens written`,
              used.trainedTokens === null ? 'Tokens trained were not counted' : `${used.trainedTokens} tokens trained`,
              `${format.bytes(used.storeBytes)} in the artifact store`,
            ]
          : ['Tokens are counted once the model is exported']),
        ...Object.entries(peakMemoryBytes).map(([process, bytes]) => `Peak memory, ${process}: ${format.bytes(bytes)}`),
      ]),
      table(
        ['stage', 'time'],
        Object.entries(wallSeconds).map(([stage, seconds]) => [stage, format.duration(seconds)]),
        'No stage has ended yet.',
      ),
    ],
  };
}

export function reproducibility(data: SafetyData): Section {
  const { runId, adapterSha256, configuration, configurationSha256, librarySha256, versions, exported } = data;
  return {
    title: 'Reproducibility',
    blocks: [
      ...list([
        `Run ${runId}, as of ${minute(data.savedAt)} UTC`,
        `${configuration.trained === 'all' ? 'Weights' : 'Adapter'}: ${adapterSha256 === null ? 'none yet' : `sha256 ${adapterSha256}`}`,
        `Configuration: sha256 ${configurationSha256}`,
        `Library: sha256 ${librarySha256}`,
        `Seed ${configuration.seed}; ${configuration.engine.threads} threads, device ${configuration.engine.device}`,
        `Versions: ${Object.entries(versions)
          .map(([name, version]) => `${name} ${version}`)
          .join(', ')}`,
      ]),
      text('The same configuration, library, build, CPU family and number of threads give the same bits.'),
      ...(exported.length > 0
        ? [
            table(
              ['exported file', 'bytes', 'sha256'],
              exported.map(({ path, bytes, sha256 }) => [path, String(bytes), sha256]),
              '',
            ),
          ]
        : []),
    ],
  };
}

export function limits(data: SafetyData): Section {
  const { configuration, evaluations, marks, judges } = data;
  const after = evaluations.find(({ name }) => name === 'after');
  const unsure = evaluations.some(({ figures: { all } }) => all.unscorable > 0);
  return {
    title: 'Known limits',
    blocks: list([
      'The model may answer harmful requests and refuse harmless ones; the figures say how often it did on the requests named above, and nothing about others.',
      'Requests and rules of the shipped library are English, one turn each. Other languages and longer dialogues are not covered by these figures.',
      'The rules judge the final response only, by its wording; they do not check facts.',
      ...(after ? [] : ['The final model has not been evaluated.']),
      ...(configuration.evaluation.split === 'development'
        ? ['The figures are of the development split, by which settings may have been chosen.']
        : []),
      ...(evaluations.some(({ benchmarks }) => benchmarks?.length)
        ? []
        : ['No public benchmark is part of these figures.']),
      'Attacks (jailbreaks, searched suffixes) are no part of a run; cada evaluate --attack measures them.',
      ...(judges.some(({ agreement }) => !agreement)
        ? ['Of some judges no agreement with people is known here; cada judge-check measures it.']
        : []),
      ...(unsure ? ['Some answers could not be judged; they are left out of the shares.'] : []),
      ...(currentMarks(marks).length === 0 ? ['No person has marked a chain of this run.'] : []),
    ]),
  };
}

const minute = (time: string): string => time.slice(0, 16).replace('T', ' ');
