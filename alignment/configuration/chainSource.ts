/**
 * Who writes the chains of the warm start (docs/arms.md). All settings are absent by default, so that none is part of a configuration that sets none;
 * `deliberationSettings` is the one place with their defaults.
 */
import { z } from 'zod';

const deliberation = z.strictObject({
  by: z
    .enum(['policy', 'teacher'])
    .optional()
    .describe('Who plays the agents: the policy itself, or the model of `teacher`; absent = `policy`.'),
  rounds: z
    .int()
    .min(1)
    .max(8)
    .optional()
    .describe('Most rounds of critique; one agent speaks in each, by turns. Absent = 3.'),
  agents: z
    .int()
    .min(2)
    .max(4)
    .optional()
    .describe(
      'Agents with different concerns; when all but the writer have agreed to a text, one after another, its rounds end. Absent = 2.',
    ),
});

export const chainSourceFields = {
  source: z
    .enum(['teacher', 'deliberation'])
    .optional()
    .describe(
      'Who writes the chains: `teacher`: the model of `teacher`, from the same guided prompts; `deliberation`: agents that draft, criticise and refine them (AIDSAFE). Absent = the policy itself.',
    ),
  deliberation: deliberation.optional().describe('Settings of source `deliberation`; absent = their defaults.'),
};

export type ChainSource = 'teacher' | 'deliberation';

/** The one place with the defaults of `warmStart.deliberation`. */
export function deliberationSettings(settings: z.infer<typeof deliberation> | undefined) {
  return { by: settings?.by ?? 'policy', rounds: settings?.rounds ?? 3, agents: settings?.agents ?? 2 } as const;
}

export type DeliberationSettings = ReturnType<typeof deliberationSettings>;

interface SourceSettings {
  teacher?: object | undefined;
  warmStart: {
    enabled: boolean;
    target?: string | undefined;
    generationWeights?: string | undefined;
    source?: ChainSource | undefined;
    deliberation?: z.infer<typeof deliberation> | undefined;
  };
}

/** Whether the run asks its teacher for chains. */
export function asksTeacher({ warmStart }: { warmStart: Omit<SourceSettings['warmStart'], 'target'> }): boolean {
  if (!warmStart.enabled) return false;
  if (warmStart.source === 'teacher') return true;
  return warmStart.source === 'deliberation' && deliberationSettings(warmStart.deliberation).by === 'teacher';
}

/** Combinations that cannot be; keys below `warmStart`. */
export function chainSourceProblems({ teacher, warmStart }: SourceSettings): { key: string; message: string }[] {
  const problems: { key: string; message: string }[] = [];
  const complain = (key: string, message: string) => problems.push({ key, message });
  const { source } = warmStart;
  if (source !== undefined && !warmStart.enabled)
    complain('source', 'there is no warm start to write chains for: enable it, or leave this out');
  if (source !== undefined && warmStart.target === 'refusal')
    complain('source', "target 'refusal' learns no chains: leave the one or the other out");
  if (source === undefined && warmStart.deliberation !== undefined)
    complain('deliberation', "only source 'deliberation' reads it: set that too, or leave this out");
  if (source === 'teacher' && warmStart.deliberation !== undefined)
    complain('deliberation', "source 'teacher' does not read it: use source 'deliberation' with by: teacher");
  if (asksTeacher({ warmStart }) && teacher === undefined)
    complain('source', 'there is no teacher to ask: add the section teacher with url and model');
  return problems;
}
