/** Sections of a safety report about what a model was made from and how: purpose, base, data, codes and cases, judges, method. */
import { stringify } from 'yaml';
import { toldDecontamination } from '../benchmarks/decontaminate.ts';
import type { Configuration } from '../configuration/schema.ts';
import { requestKinds, type RequestKind } from '../library/library.ts';
import { placesInWords } from '../prompts/formatWords.ts';
import { sourceLines } from '../report/chainSources.ts';
import * as format from '../report/format.ts';
import { list, table, text, type Section } from './blocks.ts';
import type { SafetyData } from './safetyData.ts';

export function purpose({ configuration, iterations }: SafetyData): Section {
  const places = placesInWords(configuration.chain);
  const trained = [
    ...(configuration.warmStart.enabled ? ['a warm start'] : []),
    ...(iterations > 0 ? [`${iterations} ${iterations === 1 ? 'iteration' : 'iterations'}`] : []),
  ];
  return {
    title: 'Intended use',
    blocks: [
      text(
        `The model was trained (${trained.join(', ') || 'nothing yet'}) to refuse harmful requests and to answer harmless ones. Asked without a system prompt it is to write an analysis ${places.analysis} and its answer ${places.response}; the answer alone is judged.`,
      ),
      text(
        'This page is put together from the records of the run. Nothing in it was judged by its writer; what the records do not hold is said to be missing.',
      ),
    ],
  };
}

export function baseModel({ model }: SafetyData): Section {
  return {
    title: 'Base model',
    blocks: [
      ...list([
        `${model.baseModelName} (${model.origin})`,
        `Digest of its files: ${model.digest}. All figures are of this base.`,
        ...model.notes,
      ]),
    ],
  };
}

export function trainingData(data: SafetyData): Section {
  const { configuration, contamination, trained, librarySha256 } = data;
  const ofKind = (part: SafetyData['trained'][number], kind: RequestKind): number =>
    part.requests.filter((request) => request.kind === kind).length;
  const categories = [...new Set(trained.flatMap(({ requests }) => requests.map(({ category }) => category)))].sort();
  const { warmStart } = configuration;
  const writer =
    warmStart.source === undefined
      ? 'the policy itself'
      : `${warmStart.source}${configuration.teacher ? ` (${configuration.teacher.model})` : ''}`;
  return {
    title: 'Training data',
    blocks: [
      text(
        `Requests are those of the ${libraryInWords(configuration.library)}, digest ${librarySha256}. Chains of the warm start were written by ${writer}, those of iterations by the policy.`,
      ),
      table(
        ['part', 'requests', ...requestKinds, 'chains'],
        trained.map((part) => [
          ...[part.part, String(part.requests.length)],
          ...requestKinds.map((kind) => String(ofKind(part, kind))),
          String(part.chains),
        ]),
        'No chain has been drawn for training yet.',
      ),
      ...(categories.length > 0
        ? [
            text('Requests by category:'),
            table(
              ['category', ...trained.map(({ part }) => part)],
              categories.map((category) => [
                category,
                ...trained.map(({ requests }) => String(requests.filter((one) => one.category === category).length)),
              ]),
              '',
            ),
          ]
        : []),
      ...list([...withheldLines(data), ...decontaminatedLines(data), ...keptLines(data)]),
      ...(contamination.length > 0
        ? [
            text('Texts of the library that hold a question of a benchmark that the run was evaluated on:'),
            table(
              ['texts', 'benchmark', 'compared', 'word for word', 'nearly', 'in part'],
              contamination.map((one) => [
                ...[one.source, one.benchmark, String(one.texts), String(one.exact), String(one.near), String(one.run)],
              ]),
              '',
            ),
          ]
        : [text('Contamination by benchmarks was not counted: the run was evaluated on none.')]),
    ],
  };
}

function withheldLines({ configuration }: SafetyData): string[] {
  const { withhold = [] } = configuration.library;
  return withhold.length > 0 ? [`Withheld from training, cases and codes: ${withhold.join(', ')}`] : [];
}

function decontaminatedLines({ decontamination }: SafetyData): string[] {
  return decontamination ? toldDecontamination(decontamination).map((line) => `Held against ${line}`) : [];
}

function keptLines({ warmStartFigures: figures }: SafetyData): string[] {
  const lines = requestKinds.flatMap((kind) => {
    const seen = figures[`warm_start/${kind}/seen`] ?? 0;
    return seen > 0
      ? [`${kind}: ${figures[`warm_start/${kind}/kept`] ?? 0} of ${seen} chains kept by the filters`]
      : [];
  });
  return [...lines, ...sourceLines(figures)];
}

export function codesAndCases({ library, libraryFiles, configuration }: SafetyData): Section {
  const { codes, cases } = library;
  const codeRows = [codes.simple, codes.instruction, ...codes.detailed].map((code) => [
    code.path,
    String(code.attributes['version'] ?? format.missing),
    libraryFiles[code.path] ?? format.missing,
  ]);
  const categories = [...new Set(cases.map(({ category }) => category))].sort();
  const count = (category: string, label: string): string =>
    String(cases.filter((one) => one.category === category && one.label === label).length);
  const versions = [...new Set(cases.map(({ version }) => version))].sort((a, b) => a - b);
  return {
    title: 'Codes and cases',
    blocks: [
      text(
        `Guided prompts showed the codes "${configuration.cases.codes}" and ${configuration.cases.count} cases, chosen by "${configuration.cases.sampling}".`,
      ),
      table(['file', 'version', 'sha256'], codeRows, ''),
      text(
        `${cases.length} cases, versions ${versions.join(', ')}, sha256 of cases/cases.jsonl ${libraryFiles['cases/cases.jsonl'] ?? format.missing}.`,
      ),
      table(
        ['hazard category', 'harmful cases', 'harmless cases'],
        categories.map((category) => [category, count(category, 'harmful'), count(category, 'harmless')]),
        'There is no case.',
      ),
    ],
  };
}

export function judges({ judges: all, configuration }: SafetyData): Section {
  return {
    title: 'Judges',
    blocks: [
      table(
        ['judge', 'decides', 'agrees with people', 'kappa', 'n'],
        all.map(({ name, decides, agreement }) => [
          ...[name, decides],
          agreement
            ? `${format.number(agreement.accuracy.value)} ${format.interval(agreement.accuracy.interval)}`
            : 'not known here',
          agreement ? format.number(agreement.kappa) : format.missing,
          agreement ? String(agreement.n) : format.missing,
        ]),
        'The run asked no judge.',
      ),
      text(
        'Agreement is with the labels of people that the library carries (judges/labelledAnswers.jsonl), computed anew for this page; brackets: 95 % Wilson intervals.',
      ),
      ...(configuration.library.path === undefined
        ? [
            text(
              'The rules of the shipped library were mended with part of these answers: their figure is an upper estimate.',
            ),
          ]
        : []),
    ],
  };
}

function libraryInWords({ path, domain }: Configuration['library']): string {
  if (path !== undefined) return "user's own library";
  return domain === undefined ? 'library that ships with CADA' : `library of ${domain} that ships with CADA`;
}

export function method({ configuration, configurationSha256 }: SafetyData): Section {
  const { warmStart, iteration, lora, trained, rewards } = configuration;
  const weights = Object.entries(rewards).filter(([, value]) => typeof value === 'number' && value !== 0);
  return {
    title: 'Method',
    blocks: [
      ...list([
        warmStart.enabled
          ? `Warm start: ${warmStart.epochs} epochs on filtered chains, learning rate ${warmStart.learningRate}${warmStart.marks ? `, with marked chains (${warmStart.marks.chains ?? 'not settled'})` : ''}`
          : 'No warm start',
        `Iterations: ${iteration.count} asked for, ${iteration.method ? `preferences by ${iteration.method}` : `objective ${iteration.objective}`}, guidance ${iteration.guidance}, ${iteration.samplesPerRequest} chains a request, KL weight ${iteration.klWeight}, learning rate ${iteration.learningRate}${iteration.marks ? `, with marked chains (${iteration.marks.chains ?? 'not settled'})` : ''}`,
        trained === 'all'
          ? 'Every weight was trained'
          : `LoRA of rank ${lora.rank}, alpha ${lora.alpha}, on ${lora.targets.join(', ')}`,
        `Weights of the rewards: ${weights.map(([name, value]) => `${name} ${String(value)}`).join(', ')}`,
      ]),
      text(`The whole configuration, sha256 ${configurationSha256}:`),
      { kind: 'code', text: stringify(shown(configuration)).trimEnd() },
    ],
  };
}

/** Paths of somebody's machine tell a reader nothing; programs of the user's are named by their file. */
function shown(configuration: SafetyData['configuration']): object {
  const copy = structuredClone(configuration) as SafetyData['configuration'];
  const nameOf = (path: string): string => (path.startsWith('/') ? (path.split('/').at(-1) ?? '') : path);
  copy.model.source = nameOf(copy.model.source);
  if (copy.library.path !== undefined) copy.library.path = nameOf(copy.library.path);
  if (copy.guardModel) copy.guardModel.source = nameOf(copy.guardModel.source);
  for (const { marks } of [copy.warmStart, copy.iteration]) if (marks) marks.of = nameOf(marks.of);
  for (const own of copy.rewards.own ?? []) {
    own.file = nameOf(own.file);
    delete own.code;
  }
  return copy;
}
