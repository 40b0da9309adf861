/** Everything that CADA starts by itself listens on the loopback address: nothing of a run can be reached from another machine. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCodecServer, type CodecServer } from '../../infra/temporal/codecServer.ts';
import { startTestServer, type TestServer } from '../servers/temporalServer.ts';

const isLinux = existsSync('/proc/net/tcp');
if (!isLinux) console.warn('skipped: listening sockets are looked for in /proc, which this machine has not');

/** Addresses, as hex in the machine's byte order, that a process listens on. */
function listening(pid: number): string[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return []; // closed meanwhile
      }
    }),
  );
  return ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      // 0A: listening.
      .filter((fields) => fields[3] === '0A' && inodes.has(fields[9]!))
      .map((fields) => fields[1]!.split(':')[0]!),
  );
}

const loopback = ['0100007F', '00000000000000000000000001000000'];

describe.skipIf(!isLinux)('listening sockets', () => {
  let temporal: TestServer;
  let codec: CodecServer;
  beforeAll(async () => {
    temporal = await startTestServer({ ui: true, database: true });
    codec = await startCodecServer({ keys: [{ id: 'a', bytes: randomBytes(32) }], origins: [] });
  }, 60_000);
  afterAll(async () => {
    await codec?.close();
    await temporal?.stop();
  });

  test('of the embedded Temporal server and its UI', () => {
    const addresses = listening(temporal.pid);
    expect(addresses.length).toBeGreaterThanOrEqual(2);
    expect(addresses.filter((address) => !loopback.includes(address))).toEqual([]);
  });

  test('of the codec server (this process)', () => {
    const addresses = listening(process.pid);
    expect(addresses.length).toBeGreaterThanOrEqual(1);
    expect(addresses.filter((address) => !loopback.includes(address))).toEqual([]);
  });
});
