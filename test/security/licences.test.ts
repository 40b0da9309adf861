import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isPermissive, readLicences, refusedLicences } from './licences.ts';

describe('licences', () => {
  test('of every dependency are permissive, or allowed for a stated reason', () => {
    const packages = readLicences(resolve('.'));
    expect(packages.length).toBeGreaterThan(300);
    expect(refusedLicences(packages)).toEqual([]);
  });

  test.each([
    ['MIT', true],
    ['(MIT OR CC0-1.0)', true],
    ['GPL-3.0 OR MIT', true],
    ['Apache-2.0 AND MIT', true],
    ['Apache-2.0 AND GPL-3.0', false],
    ['AGPL-3.0', false],
    ['SEE LICENSE IN LICENSE.md', false],
    ['', false],
  ])('%s: %s', (expression, allowed) => expect(isPermissive(expression)).toBe(allowed));

  test('an exception holds for its package, its licence and its use only', () => {
    const one = { version: '1.0.0', dev: true };
    const names = (packages: Parameters<typeof refusedLicences>[0]) =>
      refusedLicences(packages).map(({ name }) => name);
    expect(names([{ ...one, name: 'lightningcss-linux-x64-gnu', licence: 'MPL-2.0' }])).toEqual([]);
    expect(names([{ ...one, name: 'lightningcss', licence: 'MPL-2.0', dev: false }])).toEqual(['lightningcss']);
    expect(names([{ ...one, name: 'caniuse-lite', licence: 'GPL-3.0' }])).toEqual(['caniuse-lite']);
    expect(names([{ ...one, name: 'other', licence: 'MPL-2.0' }])).toEqual(['other']);
  });
});
