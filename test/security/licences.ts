/**
 * The licences of every package in the lock file, as `npm run licences` lists them, and which of them are not on the list of those that this project
 * may ship with. Own code, because the tools for it bring a tree of dependencies themselves.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Licensed {
  name: string;
  version: string;
  /** An SPDX expression; empty where the package names none. */
  licence: string;
  /** Not installed with the published package. */
  dev: boolean;
}

/** They ask for their notice to be kept, at most: Apache-2.0 code may use them. */
const permissive = new Set([
  ...['MIT', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', '0BSD', 'BlueOak-1.0.0', 'CC0-1.0', 'Unlicense'],
]);

/** What is allowed in spite of the list: package -> its licence, and why. */
const exceptions: Record<string, { licence: string; why: string }> = {
  'caniuse-lite': {
    licence: 'CC-BY-4.0',
    why: 'a table of browsers that webpack looks up; its authors are named there',
  },
  lightningcss: { licence: 'MPL-2.0', why: 'unchanged, and only for tests' },
  unionfs: { licence: '', why: 'its LICENSE file is the Unlicense; package.json does not say so' },
};

/** Every package of package-lock.json, by name and version. */
export function readLicences(root: string): Licensed[] {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version?: string; license?: string; dev?: boolean; devOptional?: boolean }>;
  };
  return Object.entries(lock.packages)
    .filter(([path]) => path !== '')
    .map(([path, { version = '', license, dev, devOptional }]) => ({
      name: path.split('node_modules/').at(-1)!,
      version,
      licence: license ?? installedLicence(join(root, path)),
      dev: Boolean(dev ?? devOptional),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** Lock files leave out what a package.json says in an older form. */
function installedLicence(folder: string): string {
  try {
    const { license, licenses } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      license?: string | { type?: string };
      licenses?: { type?: string }[];
    };
    if (typeof license === 'string') return license;
    return license?.type ?? licenses?.map(({ type }) => type).join(' OR ') ?? '';
  } catch {
    return '';
  }
}

/** The packages whose licence is neither permissive nor an exception. */
export function refusedLicences(packages: readonly Licensed[]): Licensed[] {
  return packages.filter(({ name, licence, dev }) => {
    if (isPermissive(licence)) return false;
    const exception = exceptions[name.replace(/^lightningcss-.*/, 'lightningcss')];
    return !exception || exception.licence !== licence || (exception.licence === 'MPL-2.0' && !dev);
  });
}

/** `(MIT OR CC0-1.0)`: one of them suffices; `Apache-2.0 AND MIT`: all must be permissive. */
export function isPermissive(expression: string): boolean {
  const choices = expression.replace(/^\((.*)\)$/, '$1').split(' OR ');
  return choices.some((choice) => choice.split(' AND ').every((one) => permissive.has(one.replace(/^\(|\)$/g, ''))));
}

if (import.meta.main) {
  const packages = readLicences(join(import.meta.dirname, '..', '..'));
  for (const { name, version, licence, dev } of packages) {
    console.log(`${name} ${version}  ${licence || 'none named'}${dev ? '  (development)' : ''}`);
  }
  const refused = refusedLicences(packages);
  for (const { name, licence } of refused) console.log(`NOT ALLOWED: ${name} ${licence || 'names no licence'}`);
  const kinds = new Set(packages.map(({ licence }) => licence)).size;
  console.log(`\n${packages.length} packages, ${kinds} licences, ${refused.length} not allowed`);
  process.exitCode = refused.length === 0 ? 0 : 1;
}
