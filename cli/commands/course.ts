/** Commands that give a run another course: `set`, `rollback`, `extend`, `fork`. A run at work is told so; one that has ended is changed in the store. */
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import type { Configuration } from '../../alignment/configuration/schema.ts';
import { escapeForTerminal } from '../../infra/logging/escape.ts';
import { commandName } from '../commandName.ts';
import { placesOf, print } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { badInput } from '../errors.ts';
import type { AskedCourse } from '../operations.ts';
import { byOption, operatorName } from '../operatorName.ts';
import { detachOption, namedRunArgument, storeOption, waitOption } from '../runArguments.ts';
import { isOver, requestFor } from './operate.ts';
import { followTraining, withPinnedMarks } from './train.ts';

interface CourseFlags {
  store?: string;
  detach?: true;
  wait?: true;
  by?: string;
}

export function addSetCommand(program: Command, context: CommandContext): void {
  program
    .command('set')
    .description(
      'Changes settings of a run from its next iteration on: `cada set RUN iteration.learningRate=1e-4`. What was changed, and when, stays in its lineage.',
    )
    .argument(...namedRunArgument)
    .argument('<changes...>', 'name=number, as in the configuration')
    .option(...byOption)
    .option(...storeOption)
    .action(async (named: string, changes: string[], flags: CourseFlags) => {
      const asked: AskedCourse = { kind: 'settings', changes: Object.fromEntries(changes.map(changeOf)) };
      await changeCourse(named, asked, flags, context);
    });
}

export function addRollBackCommand(program: Command, context: CommandContext): void {
  program
    .command('rollback')
    .description(
      'Goes back to the policy that an iteration left, and on from there with other samples. What came after it stays in the store, but is no part of the run any more.',
    )
    .argument(...namedRunArgument)
    .requiredOption('--to <iteration>', 'number of a finished iteration; 0 is where the iterations began', wholeNumber)
    .option(...detachOption)
    .option(...waitOption)
    .option(...byOption)
    .option(...storeOption)
    .action(async (named: string, flags: CourseFlags & { to: number }) => {
      await changeCourse(named, { kind: 'rollBack', rollBackTo: flags.to }, flags, context);
    });
}

export function addExtendCommand(program: Command, context: CommandContext): void {
  program
    .command('extend')
    .description('Adds iterations to a run, also to one that is done: it then evaluates, exports and reports anew.')
    .argument(...namedRunArgument)
    .requiredOption('--iterations <n>', 'how many more', wholeNumber)
    .option(...detachOption)
    .option(...waitOption)
    .option(...byOption)
    .option(...storeOption)
    .action(async (named: string, flags: CourseFlags & { iterations: number }) => {
      await changeCourse(named, { kind: 'extend', more: flags.iterations }, flags, context);
    });
}

export function addForkCommand(program: Command, context: CommandContext): void {
  program
    .command('fork')
    .description(
      'Starts a run that branches off another after one of its iterations, with a configuration of its own. It shares what comes before, and does only what differs. The same command goes on with it.',
    )
    .argument(...namedRunArgument)
    .argument('<config>', 'configuration file; model and lora must be those of the other run')
    .requiredOption(
      '--from <iteration>',
      'number of a finished iteration; 0 is where the iterations began',
      wholeNumber,
    )
    .option(...detachOption)
    .option(...waitOption)
    .option(...byOption)
    .option(...storeOption)
    .action(async (named: string, file: string, flags: CourseFlags & { from: number }) => {
      const { readConfiguration } = await import('../../infra/configuration/readConfiguration.ts');
      const by = operatorName(context, flags.by);
      const { runId, storeUri } = await requestFor(named, flags, context);
      const configuration = await withPinnedMarks(await readConfiguration(file), storeUri, context);
      const operations = await context.operations();
      const forkId = await operations.fork({ runId, storeUri, from: flags.from, configuration, by });
      print(context, `run ${forkId}: from run ${runId}, ${flags.from === 0 ? 'its start' : `iteration ${flags.from}`}`);
      await goOn(forkId, configuration, flags, context);
    });
}

/** Tells a run at work; changes one that has ended, and goes on with it where there is more for it to do. */
async function changeCourse(
  named: string,
  asked: AskedCourse,
  flags: CourseFlags,
  context: CommandContext,
): Promise<void> {
  const by = operatorName(context, flags.by);
  const { record, ...places } = await requestFor(named, flags, context);
  const request = { ...places, by };
  const operations = await context.operations();
  if (!isOver(record)) {
    const [verb, argument] = updateFor(asked);
    return print(context, escapeForTerminal(await operations.control(request, verb, argument)));
  }
  print(context, escapeForTerminal(await operations.changeEnded(request, asked)));
  if (asked.kind === 'settings') {
    const command = commandName(context.env, process.argv[1], process.cwd());
    const next = record.state === 'done' ? `extend ${request.runId} --iterations N` : 'train --resume';
    return print(context, `The run has ended; to go on with it: ${command} ${next}`);
  }
  const { findRun, readJsonArtifact } = await import('../runs.ts');
  const found = await findRun(request.storeUri, request.runId);
  const configuration = await readJsonArtifact<Configuration>(found.store, found.record.configuration);
  await goOn(request.runId, configuration, flags, context);
}

function updateFor(asked: AskedCourse) {
  switch (asked.kind) {
    case 'settings':
      return ['changeSettings', asked.changes] as const;
    case 'rollBack':
      return ['rollBack', asked.rollBackTo] as const;
    case 'extend':
      return ['extend', asked.more] as const;
  }
}

async function goOn(
  runId: string,
  configuration: Configuration,
  flags: CourseFlags,
  context: CommandContext,
): Promise<void> {
  const command = commandName(context.env, process.argv[1], process.cwd());
  const store = flags.store ? ` --store ${flags.store}` : '';
  // It is the latest run now.
  const told = { runId, ...placesOf(context, flags.store), command, goOn: `${command} train --resume${store}` };
  await followTraining({ ...told, configuration }, flags, context);
}

function changeOf(text: string): [string, number] {
  const [, name, value] = /^([A-Za-z.]+)=(\S+)$/.exec(text) ?? [];
  const number = Number(value);
  if (name === undefined || !Number.isFinite(number))
    throw badInput(`"${text}" is no change.`, 'Write name=number, such as iteration.learningRate=1e-4.');
  return [name, number];
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('A whole number is needed, 0 or more.');
  return Number(text);
}
