import { availableParallelism } from 'node:os';
import { cadaCache, cadaHome } from '../paths.ts';
import type { Check, Finding } from './check.ts';
import { fail } from './check.ts';
import { examineCpu, examineDisk, examineMemory, examineNode, examinePython } from './machine.ts';
import { examineTemporal } from './temporal.ts';

export type { Check, Finding } from './check.ts';

/** What a run needs, as far as it is known before one is planned. */
export interface Needs {
  memoryBytes: number;
  homeBytes: number;
  cacheBytes: number;
}

/** Measured with the shipped demo, rounded up: engine, workers and server together; artifacts of a run; model and Temporal binary. */
export const DEMO_NEEDS: Needs = { memoryBytes: 4e9, homeBytes: 3e9, cacheBytes: 1.5e9 };

export interface DoctorOptions {
  env?: NodeJS.ProcessEnv;
  /** Temporal address and namespace of the run configuration. */
  temporal?: { address?: string; namespace?: string };
  needs?: Needs;
  /** Whether the artifact store can be written and writes conditionally; see `examineStore`. */
  store?: () => Promise<Finding>;
  /** Whether the model is in the cache, or its source can be reached. */
  model?: () => Promise<Finding>;
  /** Which devices the engine can compute on. */
  devices?: () => Promise<Finding>;
}

/**
 * Looks at everything that a run needs and changes nothing (but for a probe document that the store's check removes).
 * A check that throws becomes a failed check, so that the list is always whole.
 */
export async function examineMachine(options: DoctorOptions = {}): Promise<Check[]> {
  const { env = process.env, needs = DEMO_NEEDS } = options;
  const examinations: [name: string, examine: () => Finding | Promise<Finding>][] = [
    ['Node.js', () => examineNode(process.versions.node)],
    ['CPU cores', () => examineCpu(availableParallelism())],
    ['memory', () => examineMemory(process.availableMemory(), needs.memoryBytes)],
    ['disk for CADA_HOME', () => examineDisk(cadaHome(env), needs.homeBytes, 'CADA_HOME')],
    ['disk for CADA_CACHE', () => examineDisk(cadaCache(env), needs.cacheBytes, 'CADA_CACHE')],
    ['Temporal', () => examineTemporal(env, options.temporal)],
    ...(options.store ? ([['artifact store', options.store]] as [string, () => Promise<Finding>][]) : []),
    ...(options.model ? ([['model', options.model]] as [string, () => Promise<Finding>][]) : []),
    ...(options.devices ? ([['devices', options.devices]] as [string, () => Promise<Finding>][]) : []),
    ['python3 with pip', () => examinePython(env)],
  ];
  return await Promise.all(
    examinations.map(async ([name, examine]) => {
      try {
        return { name, ...(await examine()) };
      } catch (error) {
        return { name, ...fail((error as Error).message, 'This check itself failed; the message says why.') };
      }
    }),
  );
}
