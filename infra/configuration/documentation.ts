/** Texts generated from the schema: the table of settings in docs/configuration.md and the commented file that `cada init` writes. */
import { stringify } from 'yaml';
import { describeAllowed, jsonSchema, listSettings } from './jsonSchema.ts';
import type { SchemaNode, Setting } from './jsonSchema.ts';

/** docs/configuration.md, whole: an introduction and one table a section. */
export function configurationPage(): string {
  const sections = groupBySection(listSettings());
  const tables = [...sections].map(([section, settings]) => {
    const rows = settings.map(
      (setting) =>
        `| \`${setting.key}\` | ${setting.required ? '*required*' : inline(setting.default)} | ${escapeCell(describeAllowed(setting.schema))} | ${escapeCell(setting.schema.description ?? '')} |`,
    );
    return [
      `## ${section === '' ? 'The run' : section}`,
      '',
      '| setting | default | allowed | meaning |',
      '| --- | --- | --- | --- |',
      ...rows,
    ].join('\n');
  });
  return `${INTRODUCTION}\n${tables.join('\n\n')}\n`;
}

const INTRODUCTION = `# Run configuration

<!-- Generated from alignment/configuration/schema.ts by \`node infra/configuration/generate.ts\`. Edit the schema, not this page. -->

A run is described by one YAML file. Only \`name\` is required; what the file leaves out has the default below. \`cada init\` writes a file with every setting and its meaning, and an editor with a YAML language server completes and checks settings by \`configurations/cada.schema.json\`, which the first line of each shipped file names.

The whole file is checked before any work starts. Every problem is reported with file, line, column, setting, what was found and what is allowed; unknown settings are errors, with the nearest known name. Anchors, aliases and tags are refused. Paths are relative to the file.

Name and contents together make the run id (\`name\` and eight digits of the digest of all other settings, defaults filled in): the same configuration goes on with the same run, a changed one starts another.
`;

/**
 * A configuration with every setting, its default and its meaning as comments; only `name` is set.
 *
 * @param schemaReference where the JSON Schema lies, as the language server should look it up (a path relative to the file, or a URL).
 */
export function commentedConfiguration(name: string, schemaReference: string): string {
  const lines = [
    `# yaml-language-server: $schema=${schemaReference}`,
    '# A CADA run. Every setting stands here with its default; remove the # of a setting (and of its section) to change it.',
    `name: ${name}`,
  ];
  const root = jsonSchema();
  for (const [key, node] of Object.entries(root.properties ?? {})) {
    if (key !== 'name') lines.push(...(node.properties ? [''] : []), ...commentedNode(key, node, 0));
  }
  return `${lines.join('\n')}\n`;
}

function commentedNode(key: string, node: SchemaNode, depth: number, inherited?: unknown): string[] {
  const indent = '  '.repeat(depth);
  const value = inherited ?? node.default;
  const description = node.description ? [`# ${indent}# ${node.description}`] : [];
  if (node.properties) {
    const children = Object.entries(node.properties).flatMap(([name, child]) =>
      commentedNode(name, child, depth + 1, (value as Record<string, unknown> | undefined)?.[name]),
    );
    return [...description, `# ${indent}${key}:`, ...children];
  }
  const shown =
    value === undefined
      ? ''
      : stringify(value, { collectionStyle: 'flow', flowCollectionPadding: false, lineWidth: 0 }).trim();
  return [...description, `# ${indent}${key}: ${shown}`.trimEnd() + `  # ${describeAllowed(node)}`];
}

function groupBySection(settings: readonly Setting[]): Map<string, Setting[]> {
  return Map.groupBy(settings, (setting) => (setting.path.length === 1 ? '' : (setting.path[0] ?? '')));
}

function inline(value: unknown): string {
  if (value === undefined) return '*absent*';
  return Array.isArray(value) ? value.map((item) => `\`${String(item)}\``).join(' ') : `\`${String(value)}\``;
}

const escapeCell = (text: string): string => text.replaceAll('|', '\\|');
