/** The architectures that this engine runs. A further one is a file like llama.ts, a line here, and a line in its test. */
import type { Architecture } from './architecture.ts';
import { llama } from './llama.ts';
import { mistral } from './mistral.ts';
import { whatIsMissing } from './otherArchitectures.ts';
import { qwen2 } from './qwen2.ts';
import { qwen3 } from './qwen3.ts';

export const ARCHITECTURES = [llama, mistral, qwen2, qwen3] as const;

export type ArchitectureName = (typeof ARCHITECTURES)[number]['name'];

export const architectureNamed = (name: ArchitectureName): Architecture =>
  ARCHITECTURES.find((known) => known.name === name)!;

/**
 * The architecture that a file names.
 * @param known those that such files can have
 * @param key where the file names it
 * @returns a message instead, which says what is missing, where it is not supported
 */
export function findArchitecture<Known extends Architecture>(
  known: readonly Known[],
  name: unknown,
  key: string,
): Known | string {
  const found = known.find((architecture) => architecture.name === name);
  if (found) return found;
  const missing = typeof name === 'string' ? whatIsMissing(name) : undefined;
  return `${key} ${JSON.stringify(name)?.slice(0, 80)} is not supported. Use one of ${known.map((one) => one.name).join(', ')}.${
    missing ? ` What is missing for it: ${missing}.` : ''
  }`;
}
