/** A run's configuration with some settings changed, checked as a whole by its schema. */
import { configurationSchema } from './schema.ts';
import type { Configuration } from './schema.ts';

export interface ChangedConfiguration {
  configuration: Configuration;
  /** Those that were really changed; null = was absent. */
  settings: Record<string, { from: number | null; to: number }>;
}

/**
 * @param changes by dotted name, such as `iteration.learningRate`.
 * @throws RangeError naming each setting that the schema does not allow so.
 */
export function changeConfiguration(
  configuration: Configuration,
  changes: Readonly<Record<string, number>>,
): ChangedConfiguration {
  const changed = structuredClone(configuration) as unknown as Section;
  const settings: ChangedConfiguration['settings'] = {};
  for (const [key, to] of Object.entries(changes)) {
    const { section, name } = placeOf(changed, key);
    const from = (section[name] as number | undefined) ?? null;
    if (from !== to) settings[key] = { from, to };
    section[name] = to;
  }
  const parsed = configurationSchema.safeParse(changed);
  if (parsed.success) return { configuration: parsed.data, settings };
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new RangeError(`the changed configuration is not allowed: ${problems.join('; ')}`);
}

type Section = { [name: string]: unknown };

/** The section that holds a setting; an optional one is made. */
function placeOf(root: Section, key: string): { section: Section; name: string } {
  const path = key.split('.');
  const name = path.pop()!;
  let section = root;
  for (const part of path) section = (section[part] ??= {}) as Section;
  return { section, name };
}
