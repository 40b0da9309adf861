import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { startChild, stopAll } from '../../../infra/processes/supervisedChild.ts';
import { eventually, temporalBinary } from '../../servers/temporalServer.ts';

const folder = mkdtempSync(join(tmpdir(), 'cada-children-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A child of ours that prints "ready" and then does what `code` says. */
const node = (code: string): { command: string; args: string[] } => ({
  command: process.execPath,
  args: ['-e', `${code}; console.log('ready'); setInterval(() => {}, 1000)`],
});

const read = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
};
const ready = (logFile: string): Promise<void> =>
  eventually(`"ready" in ${logFile}`, () => read(logFile).includes('ready'));

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // A zombie answers to signal 0 until its new parent has reaped it.
  return !/^State:\s+Z/m.test(read(`/proc/${pid}/status`));
}

describe('startChild', () => {
  it('runs the program itself under the returned pid, in a process group of its own, logging to the file', async () => {
    const logFile = join(folder, 'pid.log');
    const child = await startChild({ name: 'child', ...node(`console.log('pid=' + process.pid)`), logFile });
    await ready(logFile);
    expect(read(logFile)).toContain(`pid=${child.pid}`);
    // Signalling the group named after the child reaches it: it leads that group, not ours.
    process.kill(-child.pid, 'SIGUSR2');
    expect(await child.exited).toEqual({ code: null, signal: 'SIGUSR2' });
    expect(child.running).toBe(false);
  });

  it('stops with SIGTERM and reports the exit code of a child that ends cleanly', async () => {
    const logFile = join(folder, 'term.log');
    const child = await startChild({
      name: 'child',
      ...node(`process.on('SIGTERM', () => { console.log('bye'); process.exit(7); })`),
      logFile,
    });
    await ready(logFile);
    expect(await child.stop()).toEqual({ code: 7, signal: null });
    expect(await child.logTail(1)).toBe('bye');
    expect(await child.stop()).toEqual({ code: 7, signal: null });
  });

  it('kills a child that ignores SIGTERM after the grace time, with its own children', async () => {
    const logFile = join(folder, 'kill.log');
    const grandchild = `const c = require('node:child_process').spawn('sleep', ['600']); console.log('grandchild=' + c.pid)`;
    const child = await startChild({
      name: 'child',
      ...node(`process.on('SIGTERM', () => {}); ${grandchild}`),
      logFile,
      graceMs: 300,
    });
    await ready(logFile);
    const pid = Number(/grandchild=(\d+)/.exec(read(logFile))?.[1]);
    expect(isAlive(pid)).toBe(true);
    expect(await child.stop()).toEqual({ code: null, signal: 'SIGKILL' });
    await eventually('the grandchild ends', () => !isAlive(pid));
  });

  it('passes messages over IPC', async () => {
    const messages: unknown[] = [];
    const spec = {
      ...node(`process.send({ state: 'polling' })`),
      onMessage: (message: unknown) => messages.push(message),
    };
    const child = await startChild({ name: 'child', ...spec, logFile: join(folder, 'ipc.log') });
    await eventually('a message', () => messages.length > 0);
    expect(messages).toEqual([{ state: 'polling' }]);
    await child.stop();
  });

  it('names the program that is missing', async () => {
    await expect(
      startChild({ name: 'gpu worker 1', command: '/nowhere/tool', args: [], logFile: join(folder, 'no.log') }),
    ).rejects.toThrow('gpu worker 1 could not be started: /nowhere/tool is missing or not executable');
  });

  it('stopAll stops group after group and goes on past a failure', async () => {
    const order: string[] = [];
    const member = (name: string, fails = false): { name: string; stop: () => Promise<void> } => ({
      name,
      stop: async () => {
        order.push(`${name} stopping`);
        await Promise.resolve();
        order.push(`${name} stopped`);
        if (fails) throw new Error(`${name} is stuck`);
      },
    });
    await expect(stopAll([[member('engine', true)], [member('worker')], [member('server')]])).rejects.toThrow(
      'engine is stuck',
    );
    expect(order).toEqual([
      'engine stopping',
      'engine stopped',
      'worker stopping',
      'worker stopped',
      'server stopping',
      'server stopped',
    ]);
  });
});

describe('when the parent is killed with SIGKILL', () => {
  /** A parent process that starts one supervised child and prints its pid. */
  async function orphan(
    spec: { command: string; args: string[] },
    logFile: string,
    isReady: () => boolean,
  ): Promise<number> {
    const source = new URL('../../../infra/processes/supervisedChild.ts', import.meta.url).href;
    const childSpec = { name: 'child', ...spec, logFile, graceMs: 1000 };
    const script = `import { startChild } from '${source}';
      const child = await startChild(${JSON.stringify(childSpec)}); console.log(child.pid); setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const pid = await new Promise<number>((resolve) =>
      parent.stdout.once('data', (text: Buffer) => resolve(Number(text.toString()))),
    );
    await eventually('the child runs', isReady);
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    return pid;
  }

  it('a child of ours is told first and can end cleanly', async () => {
    const logFile = join(folder, 'clean.log');
    const code = `process.on('SIGTERM', () => { console.log('clean end'); process.exit(0); })`;
    const pid = await orphan(node(code), logFile, () => read(logFile).includes('ready'));
    await eventually('the child ends', () => !isAlive(pid));
    expect(read(logFile)).toContain('clean end');
  });

  it('a child whose event loop is blocked ends too', async () => {
    const logFile = join(folder, 'blocked.log');
    const code = `process.on('SIGTERM', () => {}); console.log('ready'); for (;;);`;
    const pid = await orphan({ command: process.execPath, args: ['-e', code] }, logFile, () =>
      read(logFile).includes('ready'),
    );
    await eventually('the child ends', () => !isAlive(pid));
  });

  it('onParentExit calls back once the supervising process is gone', async () => {
    const logFile = join(folder, 'onParentExit.log');
    const source = new URL('../../../infra/processes/supervisedChild.ts', import.meta.url).href;
    const script = `import { onParentExit } from '${source}'; process.on('SIGTERM', () => {});
      onParentExit(() => { console.log('parent gone'); process.exit(0); }); console.log('ready'); setInterval(() => {}, 1000);`;
    const spec = { command: process.execPath, args: ['--input-type=module', '-e', script] };
    const pid = await orphan(spec, logFile, () => read(logFile).includes('ready'));
    await eventually('the child ends', () => !isAlive(pid));
    expect(read(logFile)).toContain('parent gone');
  });

  it('the Temporal server leaves no orphan', async () => {
    const logFile = join(folder, 'temporal.log');
    const args = ['server', 'start-dev', '--ip', '127.0.0.1', '--port', '0', '--headless', '--log-level', 'error'];
    const { freePorts } = await import('../../../infra/temporal/freePorts.ts');
    args[args.indexOf('--port') + 1] = String((await freePorts(1))[0]);
    const pid = await orphan({ command: await temporalBinary(), args }, logFile, () =>
      read(logFile).includes('Temporal Metrics'),
    );
    await eventually('the server ends', () => !isAlive(pid));
  });
});
