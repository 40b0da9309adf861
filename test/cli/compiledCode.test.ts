import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cada, newFolder } from './runCommand.ts';

const files = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true, encoding: 'utf8' })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);

describe('compiled code', () => {
  test('is kept in CADA_CACHE, and the next start adds nothing', async () => {
    const cwd = newFolder();
    const run = () => cada(['runs'], { cwd, env: { NODE_COMPILE_CACHE: '' } });
    expect(await run()).toMatchObject({ code: 0 });
    const kept = files(join(cwd, 'cache', 'compiled')).sort();
    // The command's own TypeScript too, not the packages alone.
    expect(kept.length).toBeGreaterThan(100);
    expect(await run()).toMatchObject({ code: 0 });
    expect(files(join(cwd, 'cache', 'compiled')).sort()).toEqual(kept);
  });

  test('is kept elsewhere where the user says so', async () => {
    const cwd = newFolder();
    await cada(['runs'], { cwd, env: { NODE_COMPILE_CACHE: join(cwd, 'mine') } });
    expect(files(join(cwd, 'mine')).length).toBeGreaterThan(100);
    expect(existsSync(join(cwd, 'cache', 'compiled'))).toBe(false);
  });

  test('without a place for it the command works as ever', async () => {
    const cwd = newFolder();
    writeFileSync(join(cwd, 'file'), '');
    const env = { NODE_COMPILE_CACHE: '', CADA_CACHE: join(cwd, 'file') };
    expect(await cada(['runs'], { cwd, env })).toMatchObject({ code: 0, stderr: '' });
  });
});
