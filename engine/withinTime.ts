/** A bound on what code out of a model's files may take: regular expressions of a tokenizer can be made to run for years. */
import { Script, createContext } from 'node:vm';

const context = createContext({ work: undefined }) as { work: (() => unknown) | undefined };
const script = new Script('work()');

/**
 * Runs `work`, which must not wait for anything, and ends it when it has used about so many milliseconds of processor time. Time in which the process
 * did not get the processor (other work on the machine, SIGSTOP) does not count: `work` is then begun again with a longer limit, so it must be pure.
 * @throws `tooLong()` where it is ended.
 */
export function withinTime<T>(milliseconds: number, work: () => T, tooLong: () => Error): T {
  // A call inside another one is bounded by the outer one.
  if (context.work) return work();
  for (let limit = milliseconds; ; limit *= 2) {
    const before = process.cpuUsage();
    context.work = work;
    try {
      return script.runInContext(context, { timeout: limit }) as T;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
      const { user, system } = process.cpuUsage(before);
      if (user + system >= 0.8 * milliseconds * 1000) throw tooLong();
    } finally {
      context.work = undefined;
    }
  }
}
