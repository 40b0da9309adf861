/** Settings by module, as PEFT's rank_pattern and alpha_pattern give them. */
import { EngineError } from '../policy.ts';
import { withinTime } from '../withinTime.ts';

/** Keys come from files: one may be made to take for ever. */
const patternMilliseconds = 2000;

/**
 * The value of the first key that fits a module. A key is a regular expression that must match the whole name (`model.layers.0.self_attn.q_proj`) or
 * the end of it after a dot (`q_proj`, `layers.0.mlp.up_proj`): peft/utils/other.py, get_pattern_key.
 * @param where file and field, for errors.
 * @throws EngineError 'invalidInput' for a key that is no regular expression or takes too long.
 */
export function patternValue(
  pattern: Readonly<Record<string, number>> | null | undefined,
  module: string,
  where: string,
): number | undefined {
  for (const [key, value] of Object.entries(pattern ?? {})) {
    const wrong = (why: string) =>
      new EngineError('invalidInput', `${where}: the key ${JSON.stringify(key.slice(0, 80))} ${why}`);
    let expression: RegExp;
    try {
      expression = new RegExp(`^(.*\\.)?(${key})$`);
    } catch (error) {
      throw wrong(`is not a regular expression (${(error as Error).message}). Name the module itself.`);
    }
    const tooLong = () => wrong('takes too long to match. Name the module itself.');
    if (withinTime(patternMilliseconds, () => expression.test(module), tooLong)) return value;
  }
  return undefined;
}
