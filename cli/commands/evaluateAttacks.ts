/** Attacks that are searched for, on the command line: their settings' file, and what they have cost. */
import type { AttackCosts } from '../../activities/attackInputs.ts';
import type { AttackSettings } from '../../alignment/configuration/attacks.ts';
import { badInput } from '../errors.ts';
import { plainTable } from '../terminal.ts';

/** @throws CliError for a file that can't be read, ConfigurationError-like problems with their place. */
export async function readAttackSettings(file: string): Promise<AttackSettings> {
  const { readFile } = await import('node:fs/promises');
  const { parseYaml } = await import('../../infra/configuration/yamlSource.ts');
  const { attackSettingsSchema } = await import('../../alignment/configuration/attacks.ts');
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw badInput(`${file} can not be read: ${(error as Error).message}.`, 'docs/evaluation.md shows such a file.');
  }
  const { value, problems } = parseYaml(text, file);
  const [problem] = problems;
  if (problem) throw badInput(`${file}:${problem.line}: ${problem.message}`, 'Correct the file.');
  const parsed = attackSettingsSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = issue!.path.length === 0 ? '' : `, ${issue!.path.join('.')}`;
  throw badInput(`${file}${place}: ${issue!.message}.`, 'docs/evaluation.md lists the settings of attacks.');
}

const columns = ['questions', 'tokens', 'seconds', 'attacker/asked', 'attacker/kept', 'attacker/cost'];

/** A row an attack; further numbers in words behind. */
export function describeAttacks(costs: AttackCosts): string {
  const shown = (value: number | undefined): string =>
    value === undefined ? '' : Number.isInteger(value) ? String(value) : value.toFixed(2);
  return plainTable(
    ['attack', ...columns, ''],
    Object.entries(costs).map(([attack, figures]) => [
      attack,
      ...columns.map((name) => shown(figures[name])),
      Object.entries(figures)
        .filter(([name]) => !columns.includes(name))
        .map(([name, value]) => `${name} ${shown(value)}`)
        .join(', '),
    ]),
    columns.map((_, index) => index + 1),
  );
}
