/** How the reader can type the next command: what was typed for this one. */
import { relative, sep } from 'node:path';

/** `npx cada` below npm, `node cli/cada.js` where it was started so, else `cada`. */
export function commandName(env: NodeJS.ProcessEnv, program: string | undefined, cwd: string): string {
  if (env.npm_command !== undefined) return 'npx cada';
  if (program === undefined || !program.endsWith(`${sep}cada.js`) || program.includes(`${sep}node_modules${sep}`))
    return 'cada';
  const path = relative(cwd, program);
  return `node ${path.startsWith('..') ? program : path}`;
}

/** The command that was given, to be given again: `npm run demo`, or `cada` with these arguments. */
export function repeatedCommand(name: string, args: readonly string[], env: NodeJS.ProcessEnv): string {
  // npm 10 calls it `run-script`, npm 11 `run`.
  if (env.npm_command?.startsWith('run') && env.npm_lifecycle_event) return `npm run ${env.npm_lifecycle_event}`;
  return [name, ...args].join(' ');
}
