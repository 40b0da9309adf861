import { homedir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { artifactsFolder, cadaCache, cadaHome, runFolders } from '../../infra/paths.ts';

it('state is in .cada here and downloads in the cache of the user, unless told otherwise', () => {
  expect(cadaHome({})).toBe(join(process.cwd(), '.cada'));
  expect(cadaHome({ CADA_HOME: 'elsewhere' })).toBe(join(process.cwd(), 'elsewhere'));
  expect(cadaCache({})).toBe(join(homedir(), '.cache', 'cada'));
  expect(cadaCache({ XDG_CACHE_HOME: '/var/cache' })).toBe('/var/cache/cada');
  expect(cadaCache({ XDG_CACHE_HOME: '/var/cache', CADA_CACHE: '/data/cada' })).toBe('/data/cada');
});

it('a run has its folder, and no run id leads out of it', () => {
  expect(runFolders('/home/cada', 'demo-1a2b')).toEqual({
    root: '/home/cada/runs/demo-1a2b',
    logs: '/home/cada/runs/demo-1a2b/logs',
    temporalDatabase: '/home/cada/runs/demo-1a2b/temporal/history.db',
  });
  expect(artifactsFolder('/home/cada')).toBe('/home/cada/store');
  for (const bad of ['', '..', '../other', 'a/b', '.hidden', 'a b', 'x'.repeat(129)]) {
    expect(() => runFolders('/home/cada', bad)).toThrow('is not a run id');
  }
});
