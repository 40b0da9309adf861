/** What is wrong with a configuration file, said for the person who has to put it right. */

/** One problem, at one place of the file. Lines and columns count from 1, as editors show them. */
export interface ConfigurationProblem {
  /** The file as the user named it. */
  file: string;
  line: number;
  column: number;
  /** Path of the setting, such as `iteration.requests.plain`; empty for the file as a whole. */
  key: string;
  /** What is wrong, a whole clause without a full stop. */
  message: string;
  /** What stands there, as text; absent where nothing does. */
  found?: string;
  /** What may stand there. */
  allowed?: string;
  /** The setting or value that was probably meant. */
  suggestion?: string;
}

/** All problems of one configuration, in the order of the file. Never worth a retry: the file has to change first. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly problems: readonly ConfigurationProblem[];

  constructor(problems: readonly ConfigurationProblem[]) {
    const sorted = problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
    super(describeProblems(sorted));
    this.problems = sorted;
  }
}

/** `file:line:column key: message` and, indented below it, what was found, what is allowed and what was probably meant. */
export function describeProblem(problem: ConfigurationProblem): string {
  const place = `${problem.file}:${problem.line}:${problem.column}`;
  const lines = [`${place}  ${problem.key ? `${problem.key}: ` : ''}${problem.message}`];
  if (problem.found !== undefined) lines.push(`  found:    ${problem.found}`);
  if (problem.allowed !== undefined) lines.push(`  allowed:  ${problem.allowed}`);
  if (problem.suggestion !== undefined) lines.push(`  did you mean ${problem.suggestion}?`);
  return lines.join('\n');
}

function describeProblems(problems: readonly ConfigurationProblem[]): string {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
  return `The configuration has ${count}:\n${problems.map(describeProblem).join('\n')}`;
}
