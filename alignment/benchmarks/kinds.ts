/** Which share of a safety benchmark's questions is harmful, known before any file is read. */
import { benchmarkSizes, type BenchmarkName } from './benchmarkNames.ts';

/** Of benchmarks that hold harmless requests: how many are harmful. All others hold none. */
export const harmfulRequests: Partial<Record<BenchmarkName, number>> = {
  ...{ xstest: 200, jailbreakbench: 100, wildjailbreak: 2000, 'or-bench': 655, oktest: 0 },
};

export const harmfulShare = (name: BenchmarkName): number =>
  (harmfulRequests[name] ?? benchmarkSizes[name]) / benchmarkSizes[name];
