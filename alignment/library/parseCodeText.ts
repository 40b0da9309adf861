/** Codes and the instruction: markdown files with YAML front matter. */
import { parse } from 'yaml';
import type { CodeText } from './library.ts';
import { LibraryError } from './libraryError.ts';

/**
 * Splits front matter and text. The front matter is optional; its `category` names the hazard that the text is about, its
 * `benchmarkCategories` what public benchmarks call it.
 * @throws LibraryError naming file and line.
 */
export function parseCodeText(file: string, content: string): CodeText {
  const { frontMatter, text } = splitFrontMatter(file, content.replaceAll('\r\n', '\n'));
  const attributes = parseAttributes(file, frontMatter);
  if (text.trim() === '') {
    throw new LibraryError({ file }, 'has no text', 'Write it below the front matter, or remove the file.');
  }
  const { category } = attributes;
  if (category !== undefined && typeof category !== 'string') {
    throw new LibraryError({ file }, '"category" in the front matter is not a text', 'Name one hazard category.');
  }
  const benchmarkCategories = benchmarkCategoriesOf(file, attributes);
  return {
    ...{ path: file, attributes, ...(category === undefined ? {} : { category }) },
    ...(benchmarkCategories ? { benchmarkCategories } : {}),
    text: text.trim(),
  };
}

function benchmarkCategoriesOf(
  file: string,
  { category, benchmarkCategories: named }: Record<string, unknown>,
): string[] | undefined {
  if (named === undefined) return undefined;
  const problem = (what: string) =>
    new LibraryError({ file }, `"benchmarkCategories" in the front matter ${what}`, 'Write a list: [malware, fraud].');
  if (!Array.isArray(named) || !named.every((one) => typeof one === 'string')) throw problem('is not a list of texts');
  if (category === undefined) throw problem('needs a "category" beside it');
  return named.map((one) => one.toLowerCase());
}

function splitFrontMatter(file: string, content: string): { frontMatter: string; text: string } {
  if (!content.startsWith('---\n')) return { frontMatter: '', text: content };
  const end = content.indexOf('\n---', 3);
  if (end < 0) {
    throw new LibraryError({ file, line: 1 }, 'the front matter does not end', 'Close it with a line of three dashes.');
  }
  const afterFence = content.indexOf('\n', end + 1);
  return { frontMatter: content.slice(4, end + 1), text: afterFence < 0 ? '' : content.slice(afterFence + 1) };
}

function parseAttributes(file: string, frontMatter: string): Record<string, unknown> {
  let attributes: unknown;
  try {
    attributes = parse(frontMatter) ?? {};
  } catch (error) {
    const message = (error as Error).message.split('\n')[0] ?? '';
    throw new LibraryError({ file }, `the front matter is not YAML (${message})`, 'Correct it.');
  }
  if (typeof attributes !== 'object' || attributes === null || Array.isArray(attributes)) {
    throw new LibraryError({ file }, 'the front matter is not a list of "name: value" lines', 'Correct it.');
  }
  return attributes as Record<string, unknown>;
}
