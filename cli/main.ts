/** The `cada` command: reads the command line, runs one command, turns whatever comes of it into a message and an exit code. */
import { Command } from 'commander';
import { addAskCommand, addTryCommand } from './commands/answer.ts';
import { addApproveCommand, addRejectCommand } from './commands/approve.ts';
import { addAuditCommand } from './commands/audit.ts';
import { addBenchCommand } from './commands/bench.ts';
import { addCasesCommand } from './commands/cases.ts';
import { addCleanCommand } from './commands/clean.ts';
import { addCodecServerCommand } from './commands/codecServer.ts';
import { addContaminationCommand } from './commands/contamination.ts';
import { addCompareCommand } from './commands/compare.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addExportCommand } from './commands/export.ts';
import { addInitCommand } from './commands/init.ts';
import { addEvaluateCommand } from './commands/evaluate.ts';
import { addJudgeCheckCommand } from './commands/judgeCheck.ts';
import { addLibraryCommand } from './commands/library.ts';
import { addChainsCommand, addReportCommand, addRunsCommand, addStatusCommand } from './commands/inspect.ts';
import { addMarkCommand, addMarksCommand } from './commands/marks.ts';
import { addControlCommands, addUiCommand, addWatchCommand, addWorkerCommand } from './commands/operate.ts';
import { addExtendCommand, addForkCommand, addRollBackCommand, addSetCommand } from './commands/course.ts';
import { addPlanCommand } from './commands/plan.ts';
import { addSafetyReportCommand } from './commands/safetyReport.ts';
import { addGarbageCommand, addVerifyCommand } from './commands/store.ts';
import { addTrainCommand } from './commands/train.ts';
import type { CommandContext } from './context.ts';
import { renderError } from './errors.ts';
import { exitCodes } from './exitCodes.ts';
import { packageVersion } from './packageRoot.ts';

/** Runs one command line; resolves with the exit code. Never throws. */
export async function main(argv: readonly string[], context: Omit<CommandContext, 'setExitCode'>): Promise<number> {
  let exitCode: number = exitCodes.done;
  const program = buildProgram({ ...context, setExitCode: (code) => (exitCode = code) });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (context.signal.aborted) return exitCodes.interrupted;
    const verbose = program.opts<{ verbose?: true }>().verbose === true || Boolean(context.env.CADA_DEBUG);
    const { text, exitCode: code } = renderError(error, verbose);
    if (text !== '') context.stderr.write(`${text}\n`);
    return code;
  }
}

function buildProgram(context: CommandContext): Command {
  const program = new Command('cada')
    .description('Case-augmented deliberative alignment of a language model, durably, on Temporal.')
    .version(packageVersion())
    .option('--verbose', 'with errors, show the stack (as CADA_DEBUG=1)')
    .showHelpAfterError('(`cada --help` and `cada <command> --help` say more)')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      writeErr: (text) => void context.stderr.write(text),
    })
    .addHelpText('after', HELP);
  program.commandsGroup('Training');
  addPlanCommand(program, context);
  addTrainCommand(program, context);
  addStatusCommand(program, context);
  addWatchCommand(program, context);
  addControlCommands(program, context);
  addApproveCommand(program, context);
  addRejectCommand(program, context);
  program.commandsGroup('Another course for a run');
  addSetCommand(program, context);
  addRollBackCommand(program, context);
  addExtendCommand(program, context);
  addForkCommand(program, context);
  program.commandsGroup('Results');
  addReportCommand(program, context);
  addChainsCommand(program, context);
  addAskCommand(program, context);
  addTryCommand(program, context);
  addExportCommand(program, context);
  addRunsCommand(program, context);
  addUiCommand(program, context);
  addAuditCommand(program, context);
  program.commandsGroup('Evaluation');
  addEvaluateCommand(program, context);
  addCompareCommand(program, context);
  addContaminationCommand(program, context);
  addJudgeCheckCommand(program, context);
  addLibraryCommand(program, context);
  program.commandsGroup('Governance');
  addMarkCommand(program, context);
  addMarksCommand(program, context);
  addSafetyReportCommand(program, context);
  program.commandsGroup('The library');
  addCasesCommand(program, context);
  program.commandsGroup('Setting up');
  addInitCommand(program, context);
  addDoctorCommand(program, context);
  addBenchCommand(program, context);
  addWorkerCommand(program, context);
  addCodecServerCommand(program, context);
  addCleanCommand(program, context);
  program.commandsGroup('The store');
  addVerifyCommand(program, context);
  addGarbageCommand(program, context);
  return program;
}

const HELP = `
Exit codes: 0 done, 1 failure, 2 wrong input, 3 something missing around it (server, store, disk), 4 the run waits for its operator, 130 interrupted.
Environment: CADA_HOME (state, ./.cada), CADA_CACHE (downloads), CADA_STORE (folder or s3://...), TEMPORAL_* and AWS_* as usual.`;

/** The first Ctrl-C asks the command to stop in order; the second ends at once. */
function interruptible(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(exitCodes.interrupted);
      // First, so that a live display is closed before anything is written below it.
      controller.abort();
      process.stderr.write('\nStopping in order; once more to end at once.\n');
    });
  }
  // Started through cada.js by an older Node: when that process dies, so do we.
  if (process.channel) {
    process.once('disconnect', () => controller.abort());
    process.channel.unref();
  }
  return controller.signal;
}

/** Called by start.ts. */
export async function start(): Promise<void> {
  // A reader that ends early (`cada chains | head`) is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCodes.done);
    throw error;
  });
  process.exitCode = await main(process.argv.slice(2), {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    operations: async () => (await import('./launch.ts')).openOperations(),
    signal: interruptible(),
  });
  // Clients and pools of libraries may keep the event loop alive; everything asked for is done.
  await Promise.all([drain(process.stdout), drain(process.stderr)]);
  process.exit();
}

const drain = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => stream.write('', () => resolve()));
