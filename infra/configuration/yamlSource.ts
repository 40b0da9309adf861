/**
 * A configuration's text as YAML with positions kept, so that a problem found later can name its line and column.
 *
 * Only plain YAML is taken: anchors, aliases, tags and several documents are refused, because what a setting is should stand where the setting stands.
 */
import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument, visit } from 'yaml';
import type { Document, Node, Pair, YAMLError } from 'yaml';
import type { ConfigurationProblem } from './problems.ts';

export type KeyPath = readonly (string | number)[];

export interface YamlSource {
  /** The tree as plain values; undefined where the text is not usable as a mapping. */
  value: unknown;
  problems: ConfigurationProblem[];
  /** Line and column, from 1, of the value at a path, or of its nearest ancestor in the file where it is absent. */
  positionOf(path: KeyPath): { line: number; column: number };
  /** Line and column of the key itself (for unknown keys). */
  positionOfKey(path: KeyPath): { line: number; column: number };
}

export function parseYaml(text: string, file: string): YamlSource {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const problems: ConfigurationProblem[] = document.errors.map((error) => ({
    file,
    ...at(error.pos[0]),
    ...explainSyntax(error, text),
  }));
  // A duplicate key leaves a tree that can still be checked; any other syntax error may have torn it.
  let readable = document.errors.every((error) => error.code === 'DUPLICATE_KEY');
  if (readable) {
    // Aliases are never expanded: a few lines of them can stand for gigabytes.
    const refused = refusedConstructs(document, (offset) => ({ file, ...at(offset) }));
    problems.push(...refused);
    if (!isMap(document.contents))
      problems.push({ file, line: 1, column: 1, key: '', ...explainTopLevel(document.contents) });
    readable = refused.length === 0 && isMap(document.contents);
  }
  const value: unknown = readable ? document.toJS() : undefined;

  return {
    value,
    problems,
    positionOf: (path) => at(locate(document, path).value),
    positionOfKey: (path) => at(locate(document, path).key),
  };
}

function explainTopLevel(contents: Node | null): Pick<ConfigurationProblem, 'message' | 'found' | 'allowed'> {
  const allowed = 'settings, one `key: value` a line; `cada init` writes a commented file to start from';
  if (contents === null || (isScalar(contents) && contents.value === null)) {
    return { message: 'the file holds no settings', allowed };
  }
  return {
    message: 'the file is not a list of settings',
    found: isSeq(contents) ? 'a list' : 'a single text',
    allowed,
  };
}

function explainSyntax(error: YAMLError, text: string): Pick<ConfigurationProblem, 'key' | 'message' | 'allowed'> {
  if (error.code === 'DUPLICATE_KEY') {
    const key = /^[\w-]+/.exec(text.slice(error.pos[0]))?.[0] ?? '';
    return {
      key,
      message: 'the key stands twice in the same section',
      allowed: 'each key once: remove one of the two',
    };
  }
  if (error.code === 'TAB_AS_INDENT' || /\btabs?\b/i.test(error.message)) {
    return { key: '', message: 'a tab indents this line', allowed: 'spaces only: YAML does not allow tabs there' };
  }
  if (error.code === 'MULTIPLE_DOCS') {
    return { key: '', message: 'a second document begins here (`---`)', allowed: 'one configuration a file' };
  }
  return { key: '', message: `not valid YAML: ${lowerFirst(error.message.trim())}` };
}

/** Tags of the core schema: they say what the value is anyway. */
const plainTag = /^tag:yaml\.org,2002:(str|int|float|bool|null|map|seq)$/;

function refusedConstructs(
  document: Document,
  place: (offset: number) => Pick<ConfigurationProblem, 'file' | 'line' | 'column'>,
): ConfigurationProblem[] {
  const problems: ConfigurationProblem[] = [];
  const refuse = (node: Node, message: string) =>
    problems.push({ ...place(node.range?.[0] ?? 0), key: '', message, allowed: 'the value itself, written out' });
  visit(document, {
    Node(_key, node) {
      if (isAlias(node)) refuse(node, `the alias \`*${node.source}\` stands here`);
      else if (node.anchor !== undefined) refuse(node, `the anchor \`&${node.anchor}\` stands here`);
      else if (node.tag !== undefined && !plainTag.test(node.tag)) refuse(node, `the tag \`${node.tag}\` stands here`);
    },
  });
  return problems;
}

/** Offsets of the key and the value at a path; those of the deepest part that exists where the rest is absent. */
function locate(document: Document, path: KeyPath): { key: number; value: number } {
  let node: unknown = document.contents;
  const start = startOf(node);
  let found = { key: start, value: start };
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.findLast((item) => keyText(item) === String(part));
      if (!pair) break;
      found = { key: startOf(pair.key), value: startOf(pair.value) || startOf(pair.key) };
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(part)];
      if (node === undefined) break;
      found = { key: startOf(node), value: startOf(node) };
    } else break;
  }
  // A section's value begins on the line after its key; the key is where the eye should go.
  return isMap(node) ? { key: found.key, value: found.key } : found;
}

const keyText = (pair: Pair): string => String(isScalar(pair.key) ? pair.key.value : pair.key);
const startOf = (node: unknown): number => (node as { range?: [number, number, number] } | null)?.range?.[0] ?? 0;
const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);
