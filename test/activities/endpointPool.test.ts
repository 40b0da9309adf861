/** The budget of an endpoint over the workers of a run: processes of their own, over one store, asking a real server. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startChatServer, type ChatServer } from '../servers/chatServer.ts';

let folder: string;
let server: ChatServer;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'endpoint-pool-'));
  server = await startChatServer((index) => `reply ${index}`);
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function worker(name: string, questions: number, settings: object) {
  const whole = JSON.stringify({ url: server.url, model: 'judge', ...settings });
  const file = join(import.meta.dirname, 'askInChild.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [file, folder, whole, name, String(questions)]);
  return JSON.parse(stdout) as { asked: number; kept: number; refused: string[] };
}

test('processes of a run spend its budget once, restarts included; kept replies cost nothing', async () => {
  const [one, other] = await Promise.all([worker('one', 10, { maxCalls: 12 }), worker('other', 10, { maxCalls: 12 })]);
  expect(one.asked + other.asked).toBe(12);
  expect(server.seen).toHaveLength(12);
  expect([...one.refused, ...other.refused]).toEqual(Array(8).fill('the budget of 12 calls is spent'));

  const again = await worker('one', 10, { maxCalls: 12, concurrency: 2 });
  expect(again).toEqual({ asked: 0, kept: one.asked, refused: one.refused });
  // A budget that is raised for the same run has what was spent before behind it; another endpoint has its own.
  expect((await worker('one', 20, { maxCalls: 15 })).asked).toBe(3);
  expect((await worker('two', 5, { maxCalls: 4, model: 'another' })).asked).toBe(4);
  expect(server.seen).toHaveLength(19);
}, 60_000);

test('without a budget nothing is counted in the store', async () => {
  expect((await worker('one', 3, {})).asked).toBe(3);
  await expect(rm(join(folder, 'spending'), { recursive: true })).rejects.toThrow('ENOENT');
}, 30_000);
