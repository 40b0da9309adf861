/**
 * A run asks nothing of anybody whom its user has not named. ONNX Runtime's libraries, which would, reach the internet through the proxy that the environment
 * names: here one that writes down who is asked for, and hangs up.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tinyRun } from '../cli/tinyRun.ts';
import { cada } from '../cli/runCommand.ts';

let proxy: Server;
const asked: string[] = [];
let behindProxy: NodeJS.ProcessEnv;

beforeAll(async () => {
  proxy = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (bytes) => {
      asked.push(bytes.toString('latin1').split('\r\n', 1)[0]!);
      socket.destroy();
    });
  });
  await new Promise<void>((listening) => proxy.listen(0, '127.0.0.1', listening));
  const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const local = '127.0.0.1,localhost';
  behindProxy = {
    ...{ HTTP_PROXY: address, HTTPS_PROXY: address, ALL_PROXY: address, NO_PROXY: local },
    ...{ http_proxy: address, https_proxy: address, all_proxy: address, no_proxy: local },
  };
});

afterAll(() => proxy.close());

test('a whole run asks nobody, and ONNX Runtime makes no identifier of the machine', { timeout: 240_000 }, async () => {
  const run = await tinyRun({ iteration: { count: 1 } });
  const userHome = join(run.cwd, 'user');
  mkdirSync(userHome);
  // CI: ONNX Runtime keeps still by itself where this is set.
  const env = { ...run.env, ...behindProxy, HOME: userHome, XDG_CACHE_HOME: undefined, CI: undefined };
  const { code, stdout } = await cada(['train', 'tiny.yaml'], { ...run, env });
  expect(stdout).toMatch(/adapter +\S+\n +sha256 [0-9a-f]{64}\n/);
  expect(code).toBe(0);
  expect(asked).toEqual([]);
  expect(existsSync(join(userHome, '.cache', 'Microsoft'))).toBe(false);
});
