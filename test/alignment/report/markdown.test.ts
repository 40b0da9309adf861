import { parsers } from 'prettier/plugins/markdown';
import { describe, expect, it, test } from 'vitest';
import { escapeMarkdown, inlineCode, visibleText } from '../../../alignment/report/markdown.ts';

interface Node {
  type: string;
  value?: string;
  children?: Node[];
}

/** As a reader of GitHub's Markdown takes it. */
const parsed = (markdown: string): Promise<Node> =>
  Promise.resolve(parsers.markdown.parse(markdown, {} as never) as Node);
const nodesOf = (node: Node): Node[] => [node, ...(node.children ?? []).flatMap(nodesOf)];

const hostile: Record<string, string> = {
  link: '[click](http://evil.example "t") and [ref][1] and [^1] and [[wiki]]',
  image: '![pixel](https://evil.example/p.png)',
  autolinks: 'https://evil.example/a ftp://b.example WWW.evil.example <http://c.example> me@evil.example',
  HTML: '<script>alert(1)</script><img src=x onerror=y><!-- c --><b>',
  pipes: 'a | b || c \\| d',
  backticks: '`code` ``more` ```\nfence',
  fence: '~~~\ncode',
  newlines: 'one\n\n# two\r\n- three\u2028> four',
  entities: '&lt;b&gt; &#64; &amp;lt; &copy',
  emphasis: '*a* _b_ ~~c~~ ***d***',
  backslashes: '\\*a\\* \\[x\\](y) end\\',
  math: '$x^2$ and $$y$$',
  templates: '{{ x }} {% y %}',
  heading: '# big',
  underline: '---',
  equals: '===',
  list: '- item',
  plus: '+ item',
  number: '1. item',
  bracket: '1) item',
  task: '[x] done',
  quote: '> said',
};

describe.each(Object.entries(hostile))('%s', (_, text) => {
  const said = visibleText(text).replace(/\s+/g, ' ').trim();

  it.each([
    ['a paragraph', (one: string) => one],
    ['the middle of a line', (one: string) => `by ${one}`],
    ['a list', (one: string) => `- ${one}`],
    ['a heading', (one: string) => `## ${one}`],
    ['a table', (one: string) => `| head | other |\n| --- | --- |\n| ${one} | z |`],
  ])('is text alone in %s', async (_place, within) => {
    const plain = nodesOf(await parsed(within('word')));
    const found = nodesOf(await parsed(within(escapeMarkdown(text))));
    expect(found.map(({ type }) => type)).toEqual(plain.map(({ type }) => type));
    const read = found.map(({ value }) => value ?? '').join('');
    expect(read).toBe(
      plain
        .map(({ value }) => value ?? '')
        .join('')
        .replace('word', () => said),
    );
  });

  it('is code alone as code', async () => {
    const found = nodesOf(await parsed(`x ${inlineCode(text)} y`));
    expect(found.map(({ type }) => type)).toEqual(['root', 'paragraph', 'text', 'inlineCode', 'text']);
    expect(found[3]!.value).toBe(said.replaceAll('`', "'"));
  });
});

test('escapes what counts, where it counts', () => {
  expect(escapeMarkdown('1. a')).toBe('1\\. a');
  expect(escapeMarkdown('- a_b*c')).toBe('\\- a\\_b\\*c');
  expect(escapeMarkdown('plain (words), 0.5 - 1 #2')).toBe('plain (words), 0.5 - 1 #2');
  expect(escapeMarkdown('see http://a.b')).toBe('see http:\\/\\/a.b');
});

test('shows characters that hide, turn or command as their codes', () => {
  expect(escapeMarkdown('a\u202eb\u001b[2J\u200bc')).toBe('a\\\\u202eb\\\\u001b\\[2J\\\\u200bc');
  expect(visibleText('a\tb\nc\u0000')).toBe('a\tb\nc\\u0000');
  expect(inlineCode('a\u202eb')).toBe('`a\\u202eb`');
});
