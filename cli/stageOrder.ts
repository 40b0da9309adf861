/** The stages of a run, in the order in which they come. The store keeps them by name, in alphabetical order. */

/** As `wallSeconds` of a run's record names them; all iterations share one entry. */
const stageOrder = [
  'prepare',
  'prepare guard model',
  'evaluate before',
  'warm start',
  'fresh adapter',
  'evaluate warm start',
  'iterations',
  'evaluate after',
  'export',
  'release criteria',
  'promote',
  'report',
];

/** Entries of a record by stage, in the order of the run; what is not known comes last. */
export function inStageOrder<T>(byStage: Readonly<Record<string, T>>): [stage: string, value: T][] {
  const place = (stage: string): number => (stageOrder.includes(stage) ? stageOrder.indexOf(stage) : stageOrder.length);
  return Object.entries(byStage).toSorted(([a], [b]) => place(a) - place(b));
}

/** The entry that a stage's time is counted in: `iteration 2` is one of the `iterations`. */
export const recordedStage = (stage: string): string => (/^iteration \d+$/.test(stage) ? 'iterations' : stage);
