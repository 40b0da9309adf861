/** Commands that answer one request: `try` (before any training) and `ask` (base and aligned model of a run). */
import type { Command } from 'commander';
import { placesOf, print, printJson, remark } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { badInput } from '../errors.ts';
import type { Answer } from '../operations.ts';
import { shippedConfiguration } from '../packageRoot.ts';
import { duration } from '../progress/wording.ts';
import { escapeForTerminal } from '../../infra/logging/escape.ts';
import { indent, sideBySide } from '../terminal.ts';
import { namedRunArgument, storeOption } from '../runArguments.ts';

export function addTryCommand(program: Command, context: CommandContext): void {
  program
    .command('try')
    .description(
      'Answers one request with nothing, with codes, and with codes and cases, side by side, before any training.',
    )
    .argument('<request>', 'the request, in quotes')
    .option('--config <file>', 'configuration that names model, codes and cases (default: the shipped demo)')
    .option('--json', 'for scripts')
    .action(async (text: string, options: { config?: string; json?: true }) => {
      requireText(text);
      const { readConfiguration } = await import('../../infra/configuration/readConfiguration.ts');
      const configuration = await readConfiguration(options.config ?? shippedConfiguration('demo'));
      const operations = await context.operations();
      const report = (line: string): void => remark(context, escapeForTerminal(line));
      showAnswers(await operations.tryRequest({ text, configuration, report }), options.json, context);
    });
}

export function addAskCommand(program: Command, context: CommandContext): void {
  program
    .command('ask')
    .description("Answers one request with a run's base and aligned model, side by side.")
    .argument(...namedRunArgument)
    .argument('<request>', 'the request, in quotes')
    .option(...storeOption)
    .option('--json', 'for scripts')
    .action(async (named: string, text: string, options: { store?: string; json?: true }) => {
      requireText(text);
      const { findRun } = await import('../runs.ts');
      const places = placesOf(context, options.store);
      const { runId, record } = await findRun(places.storeUri, named);
      if (!record.policy?.adapter)
        throw badInput(
          `Run ${runId} has no adapter yet: it is at stage "${record.stage}".`,
          'Let it go on with `cada train`.',
        );
      const operations = await context.operations();
      const report = (line: string): void => remark(context, escapeForTerminal(line));
      const answers = await operations.ask({ runId, ...places, text, report, signal: context.signal });
      showAnswers(answers, options.json, context);
    });
}

function requireText(text: string): void {
  if (text.trim() === '') throw badInput('The request is empty.', 'Write it in quotes: cada try "How do I ...?"');
}

function showAnswers(answers: Answer[], json: true | undefined, context: CommandContext): void {
  if (json) return printJson(context, answers);
  const title = ({ label, seconds }: Answer): string => `${label} (${duration(seconds)})`;
  if (context.stdout.isTTY && (context.stdout.columns || 80) >= 26 * answers.length) {
    const columns = answers.map((answer) => ({ title: title(answer), text: answer.text }));
    return print(context, sideBySide(columns, context.stdout.columns || 80));
  }
  for (const answer of answers) print(context, `${title(answer)}\n${indent(escapeForTerminal(answer.text.trim()))}\n`);
}
