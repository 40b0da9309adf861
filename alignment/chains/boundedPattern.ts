/** Regular expressions of a user against texts of a model: refused where they may backtrack without end, and bounded in time all the same. */
import { createContext, Script } from 'node:vm';

export class PatternTooSlow extends Error {
  override name = 'PatternTooSlow';
}

const context = createContext({ run: undefined }) as { run: (() => unknown) | undefined };
const script = new Script('run()');

/** Of processor time; a chain takes microseconds. */
const mostMilliseconds = 1000;

/**
 * `pattern.exec(text)`, ended where it takes longer. An error and not "no match": whether a chain matches must not depend on the speed of a machine.
 * Time in which the process had no processor does not count.
 * @throws PatternTooSlow
 */
export function boundedExec(pattern: RegExp, text: string, milliseconds = mostMilliseconds): RegExpExecArray | null {
  for (let limit = milliseconds; ; limit *= 2) {
    const before = process.cpuUsage();
    context.run = () => pattern.exec(text);
    try {
      return script.runInContext(context, { timeout: limit }) as RegExpExecArray | null;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
      const { user, system } = process.cpuUsage(before);
      if (user + system >= 0.8 * milliseconds * 1000) {
        throw new PatternTooSlow(
          `chain.pattern.expression takes more than ${milliseconds} ms for a chain of ${text.length} characters: use fewer parts of unlimited length in it, or two markers`,
        );
      }
    } finally {
      context.run = undefined;
    }
  }
}

/**
 * Why an expression may take exponential time, in words; undefined where it can't. Two things make it so: a repeated group that holds a repetition or a
 * choice (a text can be cut into its rounds in many ways), and a reference back to a group. What is left takes at worst a power of the length.
 */
export function backtrackingProblem(expression: string): string | undefined {
  const source = withoutClasses(expression);
  if (/\\(?:[1-9]|k<)/.test(source)) return 'refers back to a group (\\1 or \\k<name>): leave that out';
  /** For each open group: whether it holds a repetition or a choice so far. */
  const groups: boolean[] = [];
  for (let at = 0; at < source.length; at++) {
    const character = source[at]!;
    if (character === '\\') at++;
    else if (character === '(') {
      groups.push(false);
      // The ? of (?:, (?<name> and (?= is no quantifier.
      if (source[at + 1] === '?') at++;
    } else if (character === ')') {
      const inner = groups.pop() ?? false;
      const repeated = repeats(source, at + 1);
      if (inner && repeated)
        return 'repeats a group that itself holds a repetition or a choice, as (a+)* or (a|b)+ do: such a group can take years on a long chain';
      mark(groups, inner || repeated);
    } else if (character === '|' || repeats(source, at)) mark(groups, true);
  }
  return undefined;
}

function mark(groups: boolean[], holds: boolean): void {
  if (holds && groups.length > 0) groups[groups.length - 1] = true;
}

/** Whether a quantifier that allows more than one round stands here; `?` allows at most one. */
function repeats(source: string, at: number): boolean {
  if (source[at] === '*' || source[at] === '+') return true;
  const counted = /^\{(\d+)(,(\d*))?\}/.exec(source.slice(at, at + 24));
  if (!counted) return false;
  const most = counted[2] === undefined ? counted[1]! : counted[3]!;
  return most === '' || Number(most) > 1;
}

/** Each [class] as one plain letter. */
function withoutClasses(expression: string): string {
  return expression.replace(/\\[^]|\[(?:\\[^]|[^\]\\])*\]/g, (found) => (found.startsWith('\\') ? found : 'x'));
}
