/** `cada bench`: how fast this machine runs the configured model, and where the time goes. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import prettyBytes from 'pretty-bytes';
import { print, printJson, remark } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { shippedConfiguration } from '../packageRoot.ts';
import type { SpeedFigures } from '../operate/speed.ts';
import type { Profile } from '../../engine/session/profile.ts';
import { escapeForTerminal } from '../../infra/logging/escape.ts';
import { plainTable } from '../terminal.ts';

interface BenchOptions {
  config?: string;
  profile?: true;
  json?: true;
}

/** Kinds that are listed one by one in a profile; the rest is summed. */
const listedKinds = 15;

export function addBenchCommand(program: Command, context: CommandContext): void {
  program
    .command('bench')
    .description(
      'Measures how fast this machine generates and trains with a model; about a minute for the default one.',
    )
    .argument('[model]', 'hub id, folder or .gguf file (default: the model of the configuration)')
    .option(
      '--config <file>',
      'configuration that names model and engine (default: ./cada.yaml if there is one, else the shipped demo)',
    )
    .option('--profile', 'also the time by kind of operator, of decoding and of training')
    .option('--json', 'for scripts')
    .action(async (model: string | undefined, options: BenchOptions) => {
      const { readConfiguration } = await import('../../infra/configuration/readConfiguration.ts');
      const file = options.config ?? (existsSync('cada.yaml') ? 'cada.yaml' : shippedConfiguration('demo'));
      const configuration = await readConfiguration(file);
      const { revision: _, ...otherModel } = { ...configuration.model, source: model ?? '' };
      const { measureSpeed } = await import('../operate/speed.ts');
      const figures = await measureSpeed({
        configuration: model === undefined ? configuration : { ...configuration, model: otherModel },
        profile: options.profile === true,
        report: (line) => remark(context, escapeForTerminal(line)),
      });
      if (options.json) printJson(context, figures);
      else print(context, describeSpeed(figures));
    });
}

export function describeSpeed({
  model,
  threads,
  generation,
  training,
  peakMemoryBytes,
  profile,
}: SpeedFigures): string {
  const { rows, length, tokensPerSecond, gflops, peakGflops } = training;
  const speeds = [
    ...generation.map(({ batch, promptTokens, newTokens, tokensPerSecond: rate }) => [
      `generation, ${batch} x (${promptTokens} + ${newTokens}) tokens`,
      rate.toFixed(0),
    ]),
    [`LoRA forward and backward pass, ${rows} x ${length} tokens`, tokensPerSecond.toFixed(0)],
  ];
  const parts = [
    `${escapeForTerminal(model)}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
    plainTable(['work', 'tokens/s'], speeds, [1]),
    `Training reaches ${gflops.toFixed(0)} GFLOPS, ${percent(gflops / peakGflops)} of this machine's ${peakGflops.toFixed(0)} in a large matrix product. Peak memory of the engine: ${prettyBytes(peakMemoryBytes)}.`,
  ];
  if (profile)
    parts.push(
      describeProfile('Decoding, a step of 8 sequences', profile.decode),
      describeProfile('Training, a forward and backward pass', profile.training),
    );
  return parts.join('\n\n');
}

function describeProfile(title: string, { runs, milliseconds, operators }: Profile): string {
  const accounted = operators.reduce((sum, operator) => sum + operator.milliseconds, 0);
  const rest = operators.slice(listedKinds);
  const row = (kind: string, calls: number, time: number, share: number): string[] => [
    kind,
    percent(share),
    (time / runs).toFixed(2),
    (calls / runs).toFixed(0),
    ((1000 * time) / calls).toFixed(1),
  ];
  const lines = operators
    .slice(0, listedKinds)
    .map(({ kind, calls, milliseconds: time, share }) => row(kind, calls, time, share));
  if (rest.length > 0) {
    const sum = (of: (operator: (typeof rest)[number]) => number) => rest.reduce((total, one) => total + of(one), 0);
    const [calls, time] = [sum((one) => one.calls), sum((one) => one.milliseconds)];
    lines.push(row(`${rest.length} others`, calls, time, time / accounted));
  }
  return [
    `${title}: ${(milliseconds / runs).toFixed(1)} ms (with the profile's own cost), ${percent(accounted / milliseconds)} of it in operators`,
    plainTable(['operator', 'share', 'ms', 'calls', 'mean µs'], lines, [1, 2, 3, 4]),
  ].join('\n');
}

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;
