import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import { freePorts, isPortFree } from '../../../infra/temporal/freePorts.ts';

it('gives different ports that no outgoing connection takes', async () => {
  const ports = await freePorts(40);
  expect(new Set(ports).size).toBe(40);
  for (const port of ports) {
    expect(port).toBeGreaterThanOrEqual(20_000);
    expect(port).toBeLessThan(32_000);
  }
});

it('knows a port that is listened on', async () => {
  const [port] = (await freePorts(1)) as [number];
  const server = createServer();
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
  expect(await isPortFree(port)).toBe(false);
  await new Promise((done) => server.close(done));
  expect(await isPortFree(port)).toBe(true);
});
