/** The live card of a run in the Temporal UI: what it does, what it has reached, where the artifacts are (markdown). */
import { escapeMarkdown } from '../alignment/report/markdown.ts';
import type { RunAtWork } from './runMemory.ts';
import type { Figures } from '../activities/types.ts';

export function renderCard({ run, plan, memory }: RunAtWork): string {
  const { progress } = memory;
  const lines = [
    `### ${run.runId}`,
    '',
    `**${progress.state}** · ${progress.stage} · iteration ${memory.iteration} of ${plan.iterations}`,
  ];
  if (progress.state === 'awaiting approval')
    lines.push(
      '',
      `> ${inline(progress.cause ?? '')}`,
      '',
      `Read the report, then \`cada approve\` (update \`approve\`, \`{"by": "who", "why": "the reason"}\`, with \`despite\` where not all criteria are met) or \`cada reject\` (\`reject\`).`,
    );
  else if (progress.cause)
    lines.push(
      '',
      `> ${inline(progress.cause)}`,
      '',
      'Mend the cause, then `cada retry` (update `retryStage`); or go back with `cada rollback` (`rollBack`), change settings with `cada set` (`changeSettings`), or end the run with `cada stop` (`stopRun`).',
    );
  const { release } = memory;
  if (release?.decision)
    lines.push('', `- ${release.decision.outcome} by ${inline(release.decision.by)}: ${inline(release.decision.why)}`);
  else if (release && progress.state !== 'awaiting approval') lines.push('', `- release: ${inline(release.told)}`);
  for (const told of memory.told) lines.push('', `- ${inline(told)}`);
  const evaluations = Object.entries(memory.evaluations);
  if (evaluations.length > 0) {
    lines.push(
      '',
      '| evaluation | both headings | refuses harmful | refuses plain | refuses look-alike |',
      '| --- | --- | --- | --- | --- |',
    );
    for (const [name, { figures }] of evaluations) {
      lines.push(
        `| ${name} | ${share(figures, 'format')} | ${share(figures, 'refusal/harmful')} | ${share(figures, 'refusal/plain')} | ${share(figures, 'refusal/look-alike')} |`,
      );
    }
  }
  if (memory.recent.length > 0) {
    lines.push('', '| iteration | reward | format | KL | gradient norm |', '| --- | --- | --- | --- | --- |');
    for (const { iteration, figures } of memory.recent) {
      lines.push(
        `| ${iteration} | ${share(figures, 'reward')} | ${share(figures, 'rewards/format/mean')} | ${share(figures, 'kl', 4)} | ${share(figures, 'grad_norm')} |`,
      );
    }
  }
  const { policy } = memory;
  if (policy)
    lines.push(
      '',
      `adapter \`${policy.adapter?.sha256.slice(0, 16) ?? 'none (base model)'}\` · configuration \`${run.configuration.sha256.slice(0, 16)}\``,
    );
  return lines.join('\n');
}

function share(figures: Figures, name: string, digits = 2): string {
  const value = figures[name];
  return value === undefined ? '–' : value.toFixed(digits);
}

/** A failure's text may quote model output: nothing of it is markup (an image would be fetched by who looks at it). */
const inline = (text: string): string => escapeMarkdown(text.slice(0, 600));
