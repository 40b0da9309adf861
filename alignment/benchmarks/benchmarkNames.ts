/** Names of the public benchmarks that can be evaluated on, as `evaluation.benchmarks` has them. */
export const benchmarkNames = [
  'xstest',
  'jailbreakbench',
  'jailbreakbench-attacks',
  'strongreject',
  'strongreject-small',
  'strongreject-attacks',
  'advbench',
  'harmbench',
  'hex-phi',
  'sorry-bench',
  'simplesafetytests',
  'maliciousinstruct',
  'wildjailbreak',
  'or-bench',
  'oktest',
] as const;

export type BenchmarkName = (typeof benchmarkNames)[number];

/** Requests of each, for what a run is planned to take before any file is read. */
export const benchmarkSizes: Record<BenchmarkName, number> = {
  xstest: 450,
  jailbreakbench: 200,
  'jailbreakbench-attacks': 237,
  strongreject: 313,
  'strongreject-small': 60,
  'strongreject-attacks': 2191,
  advbench: 520,
  harmbench: 200,
  'hex-phi': 300,
  'sorry-bench': 440,
  simplesafetytests: 100,
  maliciousinstruct: 100,
  wildjailbreak: 2210,
  'or-bench': 1974,
  oktest: 300,
};

/** Benchmarks of utility, which `cada evaluate` knows too. */
export const utilityNames = ['gsm8k', 'mmlu', 'ifeval', 'bbh'] as const;

export type UtilityName = (typeof utilityNames)[number];

/** Everything that a model can be evaluated on. */
export const suiteNames = [...benchmarkNames, ...utilityNames] as const;

export type SuiteName = BenchmarkName | UtilityName;
