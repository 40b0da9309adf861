/** Names of the public benchmarks that can be evaluated on, as `evaluation.benchmarks` has them. */
export const benchmarkNames = ['xstest', 'jailbreakbench'] as const;

export type BenchmarkName = (typeof benchmarkNames)[number];

/** Requests of each, for what a run is planned to take before any file is read. */
export const benchmarkSizes: Record<BenchmarkName, number> = { xstest: 450, jailbreakbench: 200 };
