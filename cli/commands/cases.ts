/** `cada cases`: new cases for a library, drafted by a model, reviewed by a person, added under a new version. */
import { InvalidArgumentError, type Command } from 'commander';
import { stateOf, type CaseDraftFile } from '../../alignment/cases/drafts/caseDrafts.ts';
import { requestKinds, type RequestKind } from '../../alignment/library/library.ts';
import { escapeForTerminal } from '../../infra/logging/escape.ts';
import { countOf } from '../counts.ts';
import { placesOf, print, printJson, remark, type CommandContext } from '../context.ts';
import { badInput } from '../errors.ts';
import { shippedConfiguration } from '../packageRoot.ts';
import { plainTable } from '../terminal.ts';
import { storeOption } from '../runArguments.ts';

export function addCasesCommand(program: Command, context: CommandContext): void {
  const cases = program
    .command('cases')
    .description('New cases for a library: drafted by a model, reviewed by a person, added under a new version.');
  addDraft(cases, context);
  addReview(cases, context);
  addAdd(cases, context);
}

interface DraftFlags {
  from?: string;
  fromMarks?: string;
  kinds: RequestKind[];
  limit?: number;
  samples: number;
  temperature?: number;
  seed?: number;
  run?: string;
  teacher?: true;
  out: string;
  store?: string;
  json?: true;
}

function addDraft(cases: Command, context: CommandContext): void {
  cases
    .command('draft')
    .description(
      'Has the model of a configuration (or its teacher) write a case for each labelled request; what passes the judges is written as a file for review. The same command again finds what is done.',
    )
    .argument('[config]', 'configuration that names model, codes, cases and judges (default: the shipped demo)')
    .option('--from <file>', "labelled requests, JSON Lines as the library's (default: its training requests)")
    .option(
      '--from-marks <run>',
      'nothing is written: chains of this run that were marked right become drafts, requests that were answered wrongly a file for --from',
    )
    .option('--kinds <kinds>', `of these kinds: ${requestKinds.join(', ')}`, kindsOf, ['harmful', 'look-alike'])
    .option('--limit <n>', 'requests at most, chosen by the seed', countOf)
    .option('--samples <n>', 'tries for each request; the first that passes is taken', countOf, 2)
    .option('--temperature <t>', "of sampling (default: the warm start's; 0.7 for several tries)", temperatureOf)
    .option('--seed <n>', "of choice and sampling (default: the configuration's)", seedOf)
    .option('--run <run>', "the run's aligned model writes, under its configuration")
    .option('--teacher', 'the teacher of the configuration writes, its key from CADA_TEACHER_API_KEY')
    .option('--out <file>', 'file of the drafts', 'case-drafts.json')
    .option(...storeOption)
    .option('--json', 'for scripts')
    .action(async (config: string | undefined, flags: DraftFlags) => {
      if (flags.run !== undefined && config !== undefined)
        throw badInput('A run has a configuration of its own.', 'Name a configuration or give --run, not both.');
      if (flags.fromMarks !== undefined) return draftMarked(config, { ...flags, fromMarks: flags.fromMarks }, context);
      const { readConfiguration } = await import('../../infra/configuration/readConfiguration.ts');
      const { draftCasesFor } = await import('../operate/draftCases.ts');
      const { saveNewDrafts } = await import('../operate/draftFiles.ts');
      const report = (line: string): void => remark(context, escapeForTerminal(line));
      const { kinds, from, limit, samples, temperature, seed, run } = flags;
      const drafting = await draftCasesFor(
        {
          configuration: await readConfiguration(config ?? shippedConfiguration('demo')),
          ...{ kinds, from, limit, samples, temperature, seed, run, teacher: flags.teacher === true },
          ...placesOf(context, flags.store),
          signal: context.signal,
        },
        report,
      );
      const { keptReviews } = await saveNewDrafts(flags.out, drafting.file);
      const { counts, provenance } = drafting.file;
      if (flags.json) printJson(context, { file: flags.out, provenance, counts, skipped: drafting.skipped });
      else {
        if (keptReviews > 0) report(`${keptReviews} reviews in ${flags.out} were kept`);
        print(context, escapeForTerminal(describeDrafting(drafting.file, flags.out)));
      }
    });
}

async function draftMarked(
  config: string | undefined,
  { fromMarks, ...flags }: DraftFlags & { fromMarks: string },
  context: CommandContext,
): Promise<void> {
  const extra = [
    ...Object.entries({ '--from': flags.from, '--run': flags.run, '--teacher': flags.teacher, '--limit': flags.limit }),
    ['a configuration', config] as const,
  ].filter(([, value]) => value !== undefined);
  if (extra.length > 0)
    throw badInput(
      `--from-marks writes nothing: ${extra.map(([name]) => name).join(', ')} cannot be given with it.`,
      'Leave it out; then draft the requests of its second file with `cada cases draft CONFIG --from`.',
    );
  const [{ draftFromMarks }, { saveDraftRequests, saveNewDrafts }] = await Promise.all([
    import('../operate/draftFromMarks.ts'),
    import('../operate/draftFiles.ts'),
  ]);
  const { file, requests, skipped } = await draftFromMarks(placesOf(context, flags.store).storeUri, fromMarks);
  if (file.drafts.length > 0) await saveNewDrafts(flags.out, file);
  const requestFile = `${flags.out.replace(/\.json$/, '')}.requests.jsonl`;
  if (requests.length > 0) await saveDraftRequests(requestFile, requests);
  for (const { id, why } of skipped) remark(context, escapeForTerminal(`${id} is left out: ${why}`));
  const files = {
    ...(file.drafts.length > 0 ? { file: flags.out } : {}),
    ...(requests.length > 0 ? { requests: requestFile } : {}),
  };
  if (flags.json) return printJson(context, { ...files, provenance: file.provenance, counts: file.counts, skipped });
  const lines = [
    ...(files.file
      ? [`${file.drafts.length} drafts of chains marked right. Next: cada cases review ${files.file}`]
      : []),
    ...(files.requests
      ? [`${requests.length} requests without a right chain. Next: cada cases draft CONFIG --from ${files.requests}`]
      : []),
  ];
  print(context, escapeForTerminal(lines.join('\n')));
}

function describeDrafting({ counts, drafts }: CaseDraftFile, out: string): string {
  const { requests, samples, dropped } = counts as {
    requests: number;
    samples: number;
    dropped: Record<string, number>;
  };
  const why = Object.entries(dropped).map(([reason, count]) => `${count} ${wordsFor[reason] ?? reason}`);
  return [
    `${drafts.length} drafts of ${requests} requests, ${samples} samples`,
    ...(why.length > 0 ? [`left out: ${why.join(', ')}`] : []),
    `Next: cada cases review ${out}`,
  ].join('\n');
}

const wordsFor: Record<string, string> = {
  unscorable: 'without a judgement',
  format: 'not in the two parts',
  cut: 'cut',
  outcome: 'with the wrong outcome',
  contradiction: 'whose answer contradicts the analysis',
  judge: 'that a judge finds harmful',
  sample: 'further samples',
  nearDuplicate: 'near-duplicates of another draft',
};

interface ReviewFlags {
  approve?: string;
  reject?: string;
  by?: string;
  list?: true;
  json?: true;
}

function addReview(cases: Command, context: CommandContext): void {
  cases
    .command('review')
    .description('Shows drafts one by one and writes into their file which are approved. With options: without asking.')
    .argument('<file>', 'file of drafts')
    .option('--approve <ids>', '`all` that are undecided, or ids joined by commas')
    .option('--reject <ids>', 'likewise')
    .option('--by <name>', 'who reviews: written beside each decision')
    .option('--list', 'the drafts and what was decided of them')
    .option('--json', 'the file as it is now, for scripts')
    .action(async (path: string, flags: ReviewFlags) => {
      const { decide, readDrafts, saveDrafts } = await import('../operate/draftFiles.ts');
      let file = await readDrafts(path);
      const said = { at: new Date().toISOString(), by: flags.by };
      const given = ([ids, decision]: [string | undefined, 'approved' | 'rejected']): void => {
        if (ids !== undefined) file = decide(file, decision, idsOf(ids), said);
      };
      if (flags.approve !== undefined && flags.approve === flags.reject)
        throw badInput('The same drafts cannot be approved and rejected.', 'Give --approve and --reject other ids.');
      // Rejections first: --approve all is then all others.
      given([flags.reject, 'rejected']);
      given([flags.approve, 'approved']);
      const decided = flags.approve !== undefined || flags.reject !== undefined;
      if (decided) await saveDrafts(path, file);
      else if (!flags.list && !flags.json) {
        if (process.stdin.isTTY !== true)
          throw badInput(
            'There is no terminal to ask at.',
            'Give --approve or --reject with ids or `all`; --list and --json show the drafts.',
          );
        const { reviewOneByOne } = await import('../operate/reviewDrafts.ts');
        file = await reviewOneByOne(file, {
          ...{ input: process.stdin, output: context.stdout, signal: context.signal, by: flags.by },
          now: () => new Date().toISOString(),
          save: (changed) => saveDrafts(path, changed),
        });
      }
      if (flags.json) printJson(context, file);
      else print(context, describeReview(file, path, flags.list === true));
    });
}

function describeReview({ drafts }: CaseDraftFile, path: string, list: boolean): string {
  const count = (state: string): number => drafts.filter((draft) => stateOf(draft) === state).length;
  const open = count('open') + count('changed');
  const summary = `${drafts.length} drafts: ${count('approved')} approved, ${count('rejected')} rejected, ${open} to be reviewed`;
  const table = plainTable(
    ['id', 'category', 'kind', 'state', 'request'],
    drafts.map((draft) => [draft.id, draft.category, draft.kind, stateOf(draft), oneLine(draft.request)]),
  );
  const next = `Next: cada cases add ${escapeForTerminal(path)} --library FOLDER`;
  return [...(list ? [table, ''] : []), summary, ...(count('approved') > 0 ? [next] : [])].join('\n');
}

/** Only its beginning: a list is no place to read in. */
function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}

interface AddFlags {
  library: string;
  leaveOut?: true;
  json?: true;
}

function addAdd(cases: Command, context: CommandContext): void {
  cases
    .command('add')
    .description(
      'Adds approved drafts to the cases of a library, in pairs, under a new version. Duplicates and requests that figures are made of (held-out, development, benchmarks) are refused.',
    )
    .argument('<file>', 'file of reviewed drafts')
    .requiredOption('--library <folder>', 'library that they are added to')
    .option('--leave-out', 'where some are refused, add the others')
    .option('--json', 'for scripts')
    .action(async (path: string, flags: AddFlags) => {
      const { resolve } = await import('node:path');
      const { addApproved, requireOwnLibrary } = await import('../operate/draftFiles.ts');
      const folder = resolve(flags.library);
      requireOwnLibrary(folder);
      const added = await addApproved(path, folder, {
        leaveOut: flags.leaveOut === true,
        at: new Date().toISOString(),
      });
      const { version, refused, unpaired, file } = added;
      if (flags.json) {
        printJson(context, { file, version, cases: added.cases.map(({ id }) => id), refused, unpaired });
        return;
      }
      for (const { id, why } of refused) remark(context, escapeForTerminal(`left out: draft "${id}": ${why}`));
      if (unpaired.length > 0)
        remark(context, escapeForTerminal(`left out, without the other side of a pair: ${unpaired.join(', ')}`));
      print(context, escapeForTerminal(`${added.cases.length} cases added to ${file} as version ${version}`));
    });
}

function idsOf(text: string): 'all' | string[] {
  if (text.trim() === 'all') return 'all';
  return text.split(',').map((id) => id.trim());
}

function kindsOf(text: string): RequestKind[] {
  return text.split(',').map((part) => {
    const found = requestKinds.find((kind) => kind === part.trim());
    if (!found) throw new InvalidArgumentError(`There is no kind "${part.trim()}". Known: ${requestKinds.join(', ')}.`);
    return found;
  });
}

function temperatureOf(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError('A number, 0 or more.');
  return value;
}

function seedOf(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError('A whole number, 0 or more.');
  return value;
}
