/** The configuration as JSON Schema (for editors) and as a flat list of settings (for messages, documentation and templates). */
import { z } from 'zod';
import { configurationSchema } from '../../alignment/configuration/schema.ts';

/** The part of JSON Schema that the configuration uses. */
export interface SchemaNode {
  type?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  const?: unknown;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minLength?: number;
  minItems?: number;
  items?: SchemaNode;
  properties?: Record<string, SchemaNode>;
  required?: string[];
}

/** JSON Schema (draft 2020-12) of a configuration file as it is written: only `name` is required. */
export function jsonSchema(): SchemaNode & Record<string, unknown> {
  const schema = z.toJSONSchema(configurationSchema, { io: 'input' }) as SchemaNode & Record<string, unknown>;
  dropSafeIntegerBounds(schema);
  return { $schema: schema.$schema, title: 'CADA run configuration', ...schema };
}

/** One setting, sections left out: `iteration.requests.plain` and what may stand there. */
export interface Setting {
  path: string[];
  key: string;
  schema: SchemaNode;
  /** The value where the file says nothing; undefined where absence means something of its own or the setting is required. */
  default: unknown;
  required: boolean;
}

/** All settings in the order of the schema. A section's own default (`requests`) reaches down to its settings. */
export function listSettings(
  node: SchemaNode = jsonSchema(),
  path: string[] = [],
  inherited?: Record<string, unknown>,
): Setting[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, schema]) => {
    const here = [...path, name];
    const value = inherited?.[name] ?? schema.default;
    if (schema.properties) return listSettings(schema, here, value as Record<string, unknown> | undefined);
    const required = path.length === 0 && (node.required ?? []).includes(name);
    return [{ path: here, key: here.join('.'), schema, default: value, required }];
  });
}

/** The schema at a path of keys and list positions, or undefined where the path is not one of the configuration. */
export function schemaAt(path: readonly (string | number)[], root: SchemaNode = jsonSchema()): SchemaNode | undefined {
  let node: SchemaNode | undefined = root;
  for (const part of path) node = typeof part === 'number' ? node?.items : node?.properties?.[part];
  return node;
}

/** What may stand at a setting, in words: `a whole number, 1 or more`, `one of cpu, cuda, webgpu, auto`. */
export function describeAllowed(schema: SchemaNode): string {
  if (schema.const !== undefined) return `only ${JSON.stringify(schema.const)}`;
  if (schema.enum)
    return schema.enum.length === 1 ? `only ${String(schema.enum[0])}` : `one of ${schema.enum.join(', ')}`;
  switch (schema.type) {
    case 'boolean':
      return 'true or false';
    case 'integer':
      return `a whole number${describeRange(schema)}`;
    case 'number':
      return `a number${describeRange(schema)}`;
    case 'string':
      return schema.pattern ? `text that matches ${schema.pattern}` : schema.minLength ? 'text, not empty' : 'text';
    case 'array':
      return `a list${schema.minItems ? ` of at least ${schema.minItems}` : ''}, each ${describeAllowed(schema.items ?? {})}`;
    case 'object':
      return `a section with ${Object.keys(schema.properties ?? {}).join(', ')}`;
    default:
      return 'anything';
  }
}

function describeRange({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: SchemaNode): string {
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`;
  if (minimum !== undefined) return `, ${minimum} or more`;
  if (exclusiveMinimum !== undefined) return `, more than ${exclusiveMinimum}`;
  if (maximum !== undefined) return `, ${maximum} or less`;
  if (exclusiveMaximum !== undefined) return `, less than ${exclusiveMaximum}`;
  return '';
}

/** zod bounds every integer by what a double holds exactly, which tells the reader nothing. */
function dropSafeIntegerBounds(node: SchemaNode): void {
  if (node.maximum === Number.MAX_SAFE_INTEGER) delete node.maximum;
  if (node.minimum === Number.MIN_SAFE_INTEGER) delete node.minimum;
  if (node.items) dropSafeIntegerBounds(node.items);
  for (const child of Object.values(node.properties ?? {})) dropSafeIntegerBounds(child);
}
