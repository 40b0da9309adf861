/** One thing that `cada doctor` looked at. */
export interface Check {
  /** "Node.js", "disk for CADA_HOME". */
  name: string;
  /** `fail`: a run can not work. `warn`: it works, with a limit that is told. */
  state: 'ok' | 'warn' | 'fail';
  /** What was found, with figures. */
  found: string;
  /** What to do; empty when nothing is to be done. */
  remedy: string;
}

/** What an injected probe finds out; the doctor gives it its name. */
export type Finding = Omit<Check, 'name'>;

export const ok = (found: string): Finding => ({ state: 'ok', found, remedy: '' });
export const warn = (found: string, remedy: string): Finding => ({ state: 'warn', found, remedy });
export const fail = (found: string, remedy: string): Finding => ({ state: 'fail', found, remedy });
