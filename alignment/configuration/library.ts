/** Which library a run reasons with: the one that ships with CADA, one of its domains, or a folder of one's own. */
import { z } from 'zod';
import { suiteNames } from '../benchmarks/benchmarkNames.ts';

/** Folders of library/domains/, each a library of its own. */
export const libraryDomains = ['healthcare', 'software'] as const;

export const librarySchema = z.strictObject({
  path: z
    .string()
    .optional()
    .describe(
      'Folder with codes/, cases/, requests/ and judges/ (relative to this file); without judges/ it is judged by the rules that ship with CADA. Absent = the library that ships with CADA.',
    ),
  domain: z
    .enum(libraryDomains)
    .optional()
    .describe(
      'A library of one field that ships with CADA, with its own hazards, codes, cases and requests (docs/domains.md). Absent = the general library.',
    ),
  withhold: z
    .array(z.string().min(1))
    .optional()
    .describe(
      'Hazard categories whose codes, cases, training and development requests are left out; held-out requests keep them, and figures are told apart as seen and unseen (docs/evaluation.md). Absent = none.',
    ),
  decontaminate: z
    .array(z.enum(suiteNames))
    .min(1)
    .optional()
    .describe(
      'Benchmarks whose questions are kept out of what is trained on and shown: training and development requests and cases (with the other one of their pair) that repeat one exactly, nearly or in part are left out and counted (docs/evaluation.md). Absent = nothing is left out.',
    ),
});

export type LibrarySettings = z.infer<typeof librarySchema>;

/** @returns what is wrong, by key. */
export function libraryProblems(settings: LibrarySettings): { key: keyof LibrarySettings; message: string }[] {
  const { path, domain, decontaminate = [] } = settings;
  const twice = decontaminate.find((one, index) => decontaminate.indexOf(one) !== index);
  return [
    ...(path !== undefined && domain !== undefined
      ? [{ key: 'domain' as const, message: 'a run has one library: leave out library.domain, or library.path' }]
      : []),
    ...(twice === undefined ? [] : [{ key: 'decontaminate' as const, message: `"${twice}" stands twice` }]),
  ];
}
