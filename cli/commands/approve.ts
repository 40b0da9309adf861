/** `cada approve` and `cada reject`: what a person decides about a policy that awaits approval. */
import type { Command } from 'commander';
import { decisionProblems } from '../../alignment/governance/decision.ts';
import { escapeForTerminal } from '../../infra/logging/escape.ts';
import { print } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { badInput } from '../errors.ts';
import { operatorName } from '../operatorName.ts';
import { namedRunArgument, storeOption } from '../runArguments.ts';
import { isOver, requestFor } from './operate.ts';

interface DecisionFlags {
  by: string;
  why: string;
  despite?: string;
  store?: string;
}

const byOption = ['--by <name>', 'who decides'] as const;
const whyOption = ['--why <text>', 'the reason: it stays in the audit log, the report and the model card'] as const;

export function addApproveCommand(program: Command, context: CommandContext): void {
  program
    .command('approve')
    .description('Promotes the policy of a run that awaits approval.')
    .argument(...namedRunArgument)
    .requiredOption(...byOption)
    .requiredOption(...whyOption)
    .option('--despite <text>', 'why it is released although not all criteria are met')
    .option(...storeOption)
    .action((named: string, flags: DecisionFlags) => decide('approve', named, flags, context));
}

export function addRejectCommand(program: Command, context: CommandContext): void {
  program
    .command('reject')
    .description('Leaves the policy of a run that awaits approval a candidate. Its artifacts stay.')
    .argument(...namedRunArgument)
    .requiredOption(...byOption)
    .requiredOption(...whyOption)
    .option(...storeOption)
    .action((named: string, flags: DecisionFlags) => decide('reject', named, flags, context));
}

async function decide(
  verb: 'approve' | 'reject',
  named: string,
  { by: name, why, despite, store }: DecisionFlags,
  context: CommandContext,
): Promise<void> {
  const by = operatorName(context, name);
  const decision = { by, why, ...(despite === undefined ? {} : { despite }) };
  const problems = decisionProblems(decision);
  if (problems.length > 0) throw badInput(problems.join('\n').replace(/"(why|despite)"/g, '--$1'));
  const { record, ...request } = await requestFor(named, store ? { store } : {}, context);
  if (isOver(record)) throw badInput(`Run ${request.runId} is ${record.state}: there is nothing to ${verb}.`);
  const operations = await context.operations();
  print(context, escapeForTerminal(await operations.control({ ...request, by }, verb, decision)));
}
