/** Marked chains as data of a run (docs/governance.md). Absent by default, so that they are part of no configuration that sets none. */
import { z } from 'zod';

const marks = z.strictObject({
  of: z
    .string()
    .min(1)
    .describe(
      'Run whose chains were marked, in the same store, or a .jsonl file of marks as the report offers it (relative to this file).',
    ),
  chains: z
    .string()
    .regex(/^[0-9a-f]{64}$/, '64 hexadecimal digits, or left out')
    .optional()
    .describe(
      'Digest of the marked chains in the store. Set by CADA when a run is started: marks made later make another run. Absent = those that count then.',
    ),
});

export type MarksSetting = z.infer<typeof marks>;

export const warmStartMarksField = {
  marks: marks
    .optional()
    .describe(
      'Chains that reviewers marked: `right` ones are trained on beside those that pass the filters; ones marked `harmful`, `leak` or `wrong-refusal` are left out. Absent = none.',
    ),
};

export const iterationMarksField = {
  marks: marks
    .optional()
    .describe(
      'With method: chains marked `right` are preferred to chains of the same request marked `harmful`, `leak` or `wrong-refusal`, in each iteration. Absent = none.',
    ),
};

interface MarkedSections {
  warmStart: { enabled: boolean; target?: string | undefined; marks?: MarksSetting | undefined };
  iteration: { method?: string | undefined; marks?: MarksSetting | undefined };
}

/** Combinations that cannot be. */
export function marksProblems({ warmStart, iteration }: MarkedSections): {
  section: 'warmStart' | 'iteration';
  message: string;
}[] {
  return [
    ...(warmStart.marks && !warmStart.enabled
      ? [
          {
            section: 'warmStart' as const,
            message: 'there is no warm start to take them into: enable it, or leave this out',
          },
        ]
      : []),
    ...(warmStart.marks && warmStart.target === 'refusal'
      ? [
          {
            section: 'warmStart' as const,
            message: "target 'refusal' learns no chains: leave the one or the other out",
          },
        ]
      : []),
    ...(iteration.marks && !iteration.method
      ? [
          {
            section: 'iteration' as const,
            message: 'only iteration.method (preferences) reads them: set that too, or leave this out',
          },
        ]
      : []),
  ];
}
