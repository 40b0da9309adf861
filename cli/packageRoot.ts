/** Where the package lies: the repository in development, `node_modules/cada` once installed (the compiled files are one folder deeper there). */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export function packageRoot(from: string = dirname(fileURLToPath(import.meta.url))): string {
  if (existsSync(join(from, 'package.json'))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error('The package.json of CADA is missing: install it again.');
  return packageRoot(parent);
}

export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string };
  return version;
}

/** A configuration that ships with CADA: `demo`, `long`. */
export const shippedConfiguration = (name: string): string => join(packageRoot(), 'configurations', `${name}.yaml`);
export const shippedSchema = (): string => join(packageRoot(), 'configurations', 'cada.schema.json');
