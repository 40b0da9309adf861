import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';

/**
 * Below the ports that systems give to outgoing connections (from 32,768 on Linux, 49,152 on macOS): such a connection could take a server's port while
 * the server is down, and keep it from starting again where its clients look for it.
 */
const FIRST_PORT = 20_000;
const END_PORT = 32_000;
/** After so many taken ports the system chooses. */
const TRIES = 50;

/** `count` different free TCP ports on the loopback address. They are held together while choosing, so no two are equal. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, listenAnywhere));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map(close));
  return ports;
}

/** Whether a loopback port can be listened on. */
export async function isPortFree(port: number): Promise<boolean> {
  try {
    await close(await listen(port));
    return true;
  } catch {
    return false;
  }
}

async function listenAnywhere(): Promise<Server> {
  for (let tries = 0; tries < TRIES; tries++) {
    const server = await listen(randomInt(FIRST_PORT, END_PORT)).catch(() => undefined);
    if (server) return server;
  }
  return await listen(0);
}

async function listen(port: number): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1', exclusive: true }, resolve);
  });
  return server;
}

async function close(server: Server): Promise<void> {
  await new Promise((resolve) => server.close(resolve));
}
