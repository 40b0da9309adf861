/** Commands that care for the artifact store: `verify`, `gc`. They need no server. */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import prettyBytes from 'pretty-bytes';
import { placesOf, print, printJson, remark } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { badInput } from '../errors.ts';
import { exitCodes } from '../exitCodes.ts';
import type { CollectedGarbage } from '../operations.ts';
import { plainTable } from '../terminal.ts';
import { runArgument, storeOption } from '../runArguments.ts';
import { escapeForTerminal } from '../../infra/logging/escape.ts';
import type { Verification } from '../../infra/artifacts/verify.ts';

interface VerifyFlags {
  store?: string;
  repair?: true;
  json?: true;
}

export function addVerifyCommand(program: Command, context: CommandContext): void {
  program
    .command('verify')
    .description(
      'Reads every artifact of a run again and compares its digest; tells what is rotten or missing, what refers to it and what to do. Exit code 1 where something is.',
    )
    .argument(...runArgument)
    .option('--repair', 'remove rotten outputs of steps, so that they are computed again when a run needs them')
    .option('--json', 'for scripts')
    .option(...storeOption)
    .action(async (named: string | undefined, options: VerifyFlags) => {
      const { runIdIn } = await import('../runs.ts');
      const places = placesOf(context, options.store);
      const runId = await runIdIn(places.storeUri, named);
      const operations = await context.operations();
      const verification = await operations.verify({
        runId,
        storeUri: places.storeUri,
        signal: context.signal,
        repair: options.repair === true,
      });
      if (options.json) printJson(context, verification);
      else print(context, describeVerification(verification));
      if (!verification.whole) context.setExitCode(exitCodes.failure);
    });
}

interface GarbageFlags {
  store?: string;
  olderThan: number;
  keepSteps?: true;
  forget?: string[];
  delete?: true;
  json?: true;
}

export function addGarbageCommand(program: Command, context: CommandContext): void {
  program
    .command('gc')
    .description(
      'Finds what no run, study, evaluation or drafting of cases in the store refers to any more and is older than a lease. Shows it; removes it only with --delete. Intermediate results of runs that have ' +
        'ended (gradients, chains of abandoned attempts) go too: another run of the same configuration computes them again, unless --keep-steps keeps them.',
    )
    .addOption(
      new Option('--older-than <time>', 'the lease: what was put within this time stays (e.g. 7d, 12h)')
        .argParser(leaseOf)
        .default(leaseOf('7d'), '7d'),
    )
    .option('--keep-steps', 'keep the results of all finished steps, for later runs')
    .option(
      '--forget <id...>',
      'remove the documents of these runs, studies, evaluations or draftings too, and what only they needed',
    )
    .option('--delete', 'remove, not only show')
    .option('--json', 'for scripts')
    .option(...storeOption)
    .action(async (options: GarbageFlags) => {
      const operations = await context.operations();
      const collected = await operations.collectGarbage({
        ...placesOf(context, options.store),
        olderThanMs: options.olderThan,
        keepSteps: options.keepSteps === true,
        forget: options.forget ?? [],
        remove: options.delete === true,
        onProgress: ({ objects, bytes }) => remark(context, `${objects} objects removed, ${prettyBytes(bytes)}`),
      });
      if (options.json) printJson(context, jsonOf(collected));
      else print(context, describeGarbage(collected));
      const { refusals } = collected.garbage;
      if (options.delete && refusals.length > 0) {
        throw badInput('Nothing was removed.', 'Do what is written above, then repeat the command.');
      }
    });
}

const MINUTE = 60_000;
const UNITS: Record<string, number> = { m: MINUTE, h: 60 * MINUTE, d: 24 * 60 * MINUTE };
/** A shorter lease could take what a run that is just starting has put. */
const SHORTEST = UNITS['h']!;

function leaseOf(text: string): number {
  const [, count, unit] = /^(\d{1,5})([mhd])$/.exec(text) ?? [];
  const lease = Number(count) * (UNITS[unit ?? ''] ?? NaN);
  if (Number.isNaN(lease)) throw new InvalidArgumentError('Write a number and m, h or d, such as 7d or 12h.');
  if (lease < SHORTEST)
    throw new InvalidArgumentError('Less than an hour could take what a starting run has just put.');
  return lease;
}

function describeVerification({ runId, whole, kinds, damages, removed }: Verification): string {
  const artifacts = kinds.reduce((sum, kind) => sum + kind.artifacts, 0);
  const size = kinds.reduce((sum, kind) => sum + kind.bytes, 0);
  const lines = [
    plainTable(
      ['kind', 'artifacts', 'size', 'damaged'],
      kinds.map(({ kind, artifacts, bytes, damaged }) => [
        escapeForTerminal(kind),
        String(artifacts),
        prettyBytes(bytes),
        damaged === 0 ? '' : String(damaged),
      ]),
      [1, 2, 3],
    ),
    '',
    `Run ${runId}: ${artifacts} artifacts, ${prettyBytes(size)}: ${whole ? 'all whole.' : `${damages.length} damaged.`}`,
  ];
  for (const { name, kind, fault, referredBy, remedy } of damages) {
    lines.push('', escapeForTerminal(`${kind} ${name} is ${fault}`));
    lines.push(escapeForTerminal(`  referred to by ${referredBy.join(', ')}`));
    lines.push(removed.includes(name) ? `  removed: ${remedy}` : `  ${remedy}`);
  }
  return lines.join('\n');
}

function describeGarbage({ garbage, removed }: CollectedGarbage): string {
  const { objects, steps, documents, kept, recent, runs, otherWork, refusals, putBefore } = garbage;
  const bytes = objects.reduce((sum, object) => sum + object.bytes, 0);
  const rows = [
    ['kept', String(kept.objects), prettyBytes(kept.bytes), String(kept.steps)],
    ['  of these only because recent', String(recent.objects), prettyBytes(recent.bytes), ''],
    [
      removed ? 'found to be removed' : 'would be removed',
      String(objects.length),
      prettyBytes(bytes),
      String(steps.length),
    ],
  ];
  const lines = [plainTable(['', 'objects', 'size', 'steps'], rows, [1, 2, 3]), ''];
  lines.push(
    `Runs kept: ${runs.map(({ runId, state }) => `${runId} (${state ?? 'no record'})`).join(', ') || 'none'}.`,
  );
  if (otherWork.length > 0)
    lines.push(`Kept besides: ${otherWork.map(({ id, kind }) => `${id} (${kind})`).join(', ')}.`);
  if (documents.length > 0) lines.push(`Documents of what is forgotten: ${documents.length}.`);
  const byStage = new Map<string, number>();
  for (const { stage } of steps) byStage.set(stage, (byStage.get(stage) ?? 0) + 1);
  if (steps.length > 0) {
    const stages = [...byStage].sort().map(([stage, count]) => `${count} ${stage}`);
    lines.push(
      `Steps that ${removed ? 'went' : 'would go'}: ${stages.join(', ')}. Another run of the same configuration computes them again (--keep-steps keeps them).`,
    );
  }
  if (refusals.length > 0) lines.push('', 'Nothing can be removed now:', ...refusals.map((reason) => `- ${reason}.`));
  else if (removed) {
    lines.push(`Removed: ${removed.objects} objects, ${prettyBytes(removed.bytes)}, ${removed.steps} steps.`);
  } else if (objects.length + steps.length + documents.length > 0) {
    lines.push(`Nothing was removed: repeat with --delete. What was put since ${putBefore.toISOString()} stays.`);
  } else lines.push('There is nothing to remove.');
  return lines.map(escapeForTerminal).join('\n');
}

function jsonOf({ garbage, removed }: CollectedGarbage) {
  const { objects, steps, ...rest } = garbage;
  return {
    ...rest,
    objects: objects.map(({ sha256, bytes, putAt }) => ({ sha256, bytes, putAt })),
    steps: steps.map(({ key, stage }) => ({ key, stage })),
    removed: removed ?? null,
  };
}
