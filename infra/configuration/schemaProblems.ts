/** Turns what zod says about a tree into problems at places of a file. */
import type { z } from 'zod';
import { describeAllowed, jsonSchema, listSettings, schemaAt } from './jsonSchema.ts';
import type { SchemaNode } from './jsonSchema.ts';
import { nearestName } from './nearestName.ts';
import type { ConfigurationProblem } from './problems.ts';
import type { KeyPath, YamlSource } from './yamlSource.ts';

type Issue = z.core.$ZodIssue;
type Path = (string | number)[];

/** One problem an issue, except unknown keys, which are one problem each. */
export function explainIssues(issues: readonly Issue[], source: YamlSource, file: string): ConfigurationProblem[] {
  const root = jsonSchema();
  return issues.flatMap((issue) => {
    const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => explainUnknownKey([...path, key], source, file, root));
    }
    return [explainValue(issue, path, source, file, root)];
  });
}

function explainUnknownKey(path: Path, source: YamlSource, file: string, root: SchemaNode): ConfigurationProblem {
  const section = path.slice(0, -1);
  const typed = String(path.at(-1));
  const known = Object.keys(schemaAt(section, root)?.properties ?? {});
  const nearest = nearestName(typed, known);
  // A key may be right but stand in the wrong section.
  const elsewhere = listSettings(root)
    .filter((setting) => setting.path.at(-1) === typed)
    .map((setting) => `\`${setting.key}\``);
  const suggestion = nearest ? `\`${nearest}\`` : elsewhere.length > 0 ? elsewhere.join(' or ') : undefined;
  return {
    file,
    ...source.positionOfKey(path),
    key: keyOf(path),
    message: 'there is no such setting',
    found: typed,
    allowed: known.join(', '),
    ...(suggestion ? { suggestion } : {}),
  };
}

function explainValue(
  issue: Issue,
  path: Path,
  source: YamlSource,
  file: string,
  root: SchemaNode,
): ConfigurationProblem {
  const schema = schemaAt(path, root);
  const value = valueAt(source.value, path);
  const problem: ConfigurationProblem = {
    file,
    ...source.positionOf(path),
    key: keyOf(path),
    message: messageFor(issue, value, schema),
  };
  if (value !== undefined && schema?.type !== 'object') problem.found = describeFound(value);
  if (value !== undefined && schema?.type === 'object' && issue.code === 'invalid_type')
    problem.found = describeFound(value);
  if (schema && issue.code !== 'custom') problem.allowed = allowedFor(issue, schema);
  const options = (schema?.enum ?? []).filter((option) => typeof option === 'string');
  const nearest = typeof value === 'string' ? nearestName(value, options) : undefined;
  if (nearest) problem.suggestion = `\`${nearest}\``;
  return problem;
}

function messageFor(issue: Issue, value: unknown, schema: SchemaNode | undefined): string {
  if (issue.code === 'custom') return issue.message;
  if (value === undefined) return 'this setting is missing';
  if (value === null)
    return schema?.type === 'object'
      ? 'the section is empty: give it settings or leave it out'
      : 'the setting has no value: give it one or leave it out';
  return 'the value is not allowed';
}

/** The schema's own words where a pattern was missed: they say it better than the pattern. */
function allowedFor(issue: Issue, schema: SchemaNode): string {
  return issue.code === 'invalid_format' && !issue.message.startsWith('Invalid')
    ? issue.message
    : describeAllowed(schema);
}

function describeFound(value: unknown): string {
  if (value === null) return 'nothing';
  if (typeof value === 'string') return value === '' ? 'an empty text' : `${shorten(JSON.stringify(value))} (a text)`;
  if (Array.isArray(value)) return `a list: ${shorten(JSON.stringify(value))}`;
  if (typeof value === 'object') return `a section: ${shorten(JSON.stringify(value))}`;
  return `${String(value)}`;
}

const shorten = (text: string): string => (text.length > 60 ? `${text.slice(0, 57)}...` : text);

/** A setting as messages name it: `rewards.own[0].file`. */
export const keyOf = (path: KeyPath): string =>
  path.reduce<string>(
    (key, part) => (typeof part === 'number' ? `${key}[${part}]` : key ? `${key}.${part}` : part),
    '',
  );

function valueAt(tree: unknown, path: Path): unknown {
  let node = tree;
  for (const part of path) {
    if (node === null || typeof node !== 'object') return undefined;
    node = (node as Record<string | number, unknown>)[part];
  }
  return node;
}
