/** `cada plan`: what a run will take of time, memory, tokens, store, Temporal and judges; starts nothing. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { estimateRun } from '../../alignment/plan/estimateRun.ts';
import { placesOf, print, printJson, remark } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { shippedConfiguration } from '../packageRoot.ts';
import { describePlan } from '../plan.ts';
import { withPinnedMarks } from './train.ts';

export function addPlanCommand(program: Command, context: CommandContext): void {
  program
    .command('plan')
    .description(
      'Shows what a run will take: time, memory, tokens, bytes and requests of the store, Temporal actions, judge calls and money. Starts nothing.',
    )
    .argument('[config]', 'configuration file (default: ./cada.yaml if there is one, else the shipped demo)')
    .option('--json', 'for scripts')
    .action(async (file: string | undefined, options: { json?: true }) => {
      const [{ readConfiguration }, { runIdOf }] = await Promise.all([
        import('../../infra/configuration/readConfiguration.ts'),
        import('../../infra/configuration/runId.ts'),
      ]);
      const chosen = file ?? (existsSync('cada.yaml') ? 'cada.yaml' : shippedConfiguration('demo'));
      if (file === undefined) remark(context, `Configuration: ${chosen}`);
      const { storeUri } = placesOf(context);
      const configuration = await withPinnedMarks(await readConfiguration(chosen), storeUri, context);
      const runId = runIdOf(configuration);
      const estimate = estimateRun(configuration);
      if (options.json) printJson(context, { runId, ...estimate });
      else print(context, describePlan(estimate, runId));
    });
}
