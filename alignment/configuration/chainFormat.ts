/**
 * Settings of the form that a chain is written in. All optional: absent settings are no part of a configuration's digest, and mean headings and a model
 * without a reasoning turn.
 */
import { z } from 'zod';
import { patternProblem } from '../chains/chainPattern.ts';

export const chainFormats = ['headings', 'think', 'pattern'] as const;

const text = z.string().min(1).max(200);

const pattern = z.strictObject({
  analysisMarker: text.optional().describe('Text that opens the analysis, wherever it stands.'),
  responseMarker: text.optional().describe('Text that opens the final response.'),
  expression: z
    .string()
    .min(1)
    .max(500)
    .optional()
    .describe(
      'In place of the markers: a regular expression of ECMAScript (`.` matches line ends too) that a whole chain matches, with the groups `(?<analysis>...)` and `(?<response>...)`.',
    ),
  example: text
    .optional()
    .describe(
      'With `expression`: how a chain is written, with `{analysis}` and `{response}`: cases are shown in this form, and the instruction names it.',
    ),
});

export const chainFormatFields = {
  format: z
    .enum(chainFormats)
    .optional()
    .describe(
      "How a chain's parts are told apart (docs/method.md): `headings`; `think`: `<think>analysis</think>final response`; `pattern`: as the section `pattern` says. Absent = `headings`.",
    ),
  pattern: pattern.optional().describe('With format `pattern`: two markers, or a regular expression and an example.'),
  thinking: z
    .boolean()
    .optional()
    .describe(
      "For models with a reasoning turn (Qwen3): `enable_thinking` of their chat template. With either value, what the model writes between `<think>` and `</think>` belongs to the analysis and is never judged. Absent = the template's own default, and no reasoning turn is looked for.",
    ),
};

export type ChainPattern = z.infer<typeof pattern>;

interface ChainSettings {
  format?: (typeof chainFormats)[number] | undefined;
  pattern?: ChainPattern | undefined;
  thinking?: boolean | undefined;
}

/** @returns what is wrong, by the path below `chain`. */
export function chainFormatProblems(chain: ChainSettings): { path: string[]; message: string }[] {
  if (chain.format !== 'pattern') {
    if (chain.pattern)
      return [{ path: ['pattern'], message: "is only read with format 'pattern': set that too, or leave this out" }];
    if (chain.format === 'think' && chain.thinking === false) {
      const message =
        "'think' writes the analysis as the model's reasoning turn, which `false` closes before the chain begins: leave it out, or use another format";
      return [{ path: ['thinking'], message }];
    }
    return [];
  }
  if (!chain.pattern) {
    const message = "'pattern' needs the section `pattern`: two markers, or an expression and an example";
    return [{ path: ['format'], message }];
  }
  const problem = patternProblem(chain.pattern);
  return problem ? [{ path: ['pattern', ...(problem.key ? [problem.key] : [])], message: problem.message }] : [];
}
