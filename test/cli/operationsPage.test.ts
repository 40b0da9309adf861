/** docs/operations.md is read when something is wrong: what it says to type must exist. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { changeableSettings } from '../../alignment/configuration/changeableSettings.ts';
import { main } from '../../cli/main.ts';

const page = readFileSync('docs/operations.md', 'utf8');
const code = [...page.matchAll(/`([^`\n]+)`/g), ...page.matchAll(/^(cada .*?)(?: {2,}#.*)?$/gm)].map(
  ([, text]) => text!,
);
const commands = code.flatMap((text) => [...text.matchAll(/^(?:[A-Z_]+=\S+ )*cada (?<name>[a-z-]+)(?<rest>.*)$/g)]);

async function helpOf(name: string): Promise<string> {
  let text = '';
  const stream = { write: (part: string) => void (text += part) } as unknown as NodeJS.WriteStream;
  const exitCode = await main([name, '--help'], {
    stdout: stream,
    stderr: stream,
    env: {},
    operations: () => Promise.reject(new Error('help needs none')),
    signal: new AbortController().signal,
  });
  expect(exitCode, `cada ${name} --help`).toBe(0);
  return text;
}

test('every command of the page exists, with its options', async () => {
  const byName = Map.groupBy(commands, ({ groups }) => groups!['name']!);
  expect(byName.size).toBeGreaterThan(15);
  for (const [name, uses] of byName) {
    const help = await helpOf(name);
    expect(help).toContain(`Usage: cada ${name}`);
    for (const [text] of uses)
      for (const [option] of text.matchAll(/--[a-z-]+/g)) expect(help, `${text}`).toMatch(new RegExp(`${option}\\b`));
  }
});

test('every setting that it changes in a run at work can be changed there, and every setting it names exists', () => {
  const changed = code.flatMap((text) =>
    [...text.matchAll(/cada set RUN ([a-z]\w*\.[\w.]+)=/g)].map(([, name]) => name!),
  );
  expect(changed.length).toBeGreaterThan(2);
  for (const name of changed) expect(changeableSettings).toContain(name);

  const settings = readFileSync('docs/configuration.md', 'utf8');
  const named = code.flatMap(
    (text) => text.match(/^(?:engine|chain|cases|iteration|shards|model)\.\w+(?:\.\w+)*/) ?? [],
  );
  expect(named.length).toBeGreaterThan(5);
  for (const name of named) expect(settings, name).toContain(`\`${name}`);
});

test('every page, heading and test that it leads to exists', () => {
  const anchors = (file: string): string[] =>
    [...readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
      title!
        .toLowerCase()
        .replace(/[^\p{L}\d -]/gu, '')
        .replaceAll(' ', '-'),
    );
  for (const [, target] of page.matchAll(/\]\(([^)]+)\)/g)) {
    const [file, anchor] = target!.split('#');
    const path = file === '' ? 'docs/operations.md' : join(dirname('docs/operations.md'), file!);
    expect(existsSync(path), target).toBe(true);
    if (anchor !== undefined) expect(anchors(path), target).toContain(anchor);
  }
  for (const [file] of page.matchAll(/test\/[\w/]+\.test\.ts/g)) expect(existsSync(file), file).toBe(true);
});
