/** Where the package lies: the repository in development, `node_modules/cada` once installed (the compiled files are one folder deeper there). */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const packageRoot = (): string => nearestPackage(dirname(fileURLToPath(import.meta.url)));

function nearestPackage(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error('The package.json of CADA is missing: install it again.');
  return nearestPackage(parent);
}

export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string };
  return version;
}

/** A configuration that ships with CADA: `demo`, `long`. */
export const shippedConfiguration = (name: string): string => join(packageRoot(), 'configurations', `${name}.yaml`);
export const shippedSchema = (): string => join(packageRoot(), 'configurations', 'cada.schema.json');
