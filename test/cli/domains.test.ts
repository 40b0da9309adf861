/** Libraries of one field, as commands find them. */
import { cpSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { libraryDomains } from '../../alignment/configuration/library.ts';
import { parseLibrary } from '../../alignment/library/parseLibrary.ts';
import { checkRequests } from '../../cli/operate/inputChecks.ts';
import { readLibraryFiles } from '../../cli/operate/libraryFiles.ts';
import { readConfiguration } from '../../infra/configuration/readConfiguration.ts';
import { cada, newFolder } from './runCommand.ts';

test('the domains of the configuration are the folders that ship', () => {
  const folders = readdirSync('library/domains', { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(folders.map(({ name }) => name).sort()).toEqual([...libraryDomains]);
});

test('the general library is what it was: domains are no part of it', async () => {
  const own = readdirSync('library', { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => /\.(md|jsonl|json)$/.test(path) && !path.startsWith('domains/'));
  expect(Object.keys(await readLibraryFiles()).sort()).toEqual(own.sort());
  expect(parseLibrary(await readLibraryFiles()).cases).toHaveLength(48);
});

test.each(libraryDomains)(
  'configurations/domains/%s.yaml can be planned, and its library has the requests',
  async (domain) => {
    const file = resolve(`configurations/domains/${domain}.yaml`);
    const { code, stdout } = await cada(['plan', file, '--json']);
    expect(code).toBe(0);
    // The run id names the domain, not the folder that it lies in.
    expect((JSON.parse(stdout) as { runId: string }).runId).toMatch(new RegExp(`^${domain}-[0-9a-f]{8}$`));
    const configuration = await readConfiguration(file);
    expect(configuration.library).toEqual({ domain });
    const files = await readLibraryFiles(configuration.library);
    expect(() => checkRequests(configuration, parseLibrary(files))).not.toThrow();
    // Judged as everything is.
    const general = await readLibraryFiles();
    expect(files['judges/refusal.json']).toBe(general['judges/refusal.json']);
    expect(files['cases/cases.jsonl']).not.toBe(general['cases/cases.jsonl']);
  },
);

test('a copy of a domain is a library of its own: judged by the shipped rules, until it has rules', async () => {
  const cwd = newFolder();
  const folder = join(cwd, 'mine');
  cpSync('library/domains/software', folder, { recursive: true });
  writeFileSync(join(cwd, 'run.yaml'), 'name: mine\nlibrary: { path: mine }\n');
  const { library } = await readConfiguration(join(cwd, 'run.yaml'));
  expect(await readLibraryFiles(library)).toEqual(await readLibraryFiles({ domain: 'software' }));

  cpSync('library/judges', join(folder, 'judges'), { recursive: true });
  rmSync(join(folder, 'judges', 'published29.json'));
  const files = await readLibraryFiles(library);
  expect(() => parseLibrary(files)).toThrow('judges/published29.json: is missing');
});
