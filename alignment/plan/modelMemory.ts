/** The least memory that a model takes by its size alone; activations, caches and the runtime's own come on top. */
import type { Configuration } from '../configuration/schema.ts';

/** 32-bit floats: whatever a model's files hold, the engine computes in them. */
const bytesOfWeight = 4;

/** Weights; where all of them are trained, a gradient and two moments of each too. An adapter's own are small beside them. */
export function modelMemory(
  { trained }: Pick<Configuration, 'trained'>,
  parameters: number,
  training: boolean,
): number {
  return parameters * bytesOfWeight * (training && trained === 'all' ? 4 : 1);
}
