/** `cada codec-server`: shows encrypted and shortened payloads in the Temporal UI. */
import { once } from 'node:events';
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { print, remark } from '../context.ts';
import type { CommandContext } from '../context.ts';

/** Where the UI of a Temporal dev server is by default. */
const defaultOrigins = ['http://localhost:8233', 'http://127.0.0.1:8233'];

export function addCodecServerCommand(program: Command, context: CommandContext): void {
  program
    .command('codec-server')
    .description(
      'Shows payloads to the Temporal UI and CLI, on this machine alone, until stopped: decrypted with the keys of CADA_PAYLOAD_KEYS, and with whole addresses in place of @0.',
    )
    .option('--port <n>', 'port on 127.0.0.1', portNumber, 8888)
    .option(
      '--ui <origin...>',
      `addresses of the UI, whose pages are answered (default: ${defaultOrigins.join(' ')})`,
      (value: string, others: string[] = []) => [...others, originOf(value)],
    )
    .action(async ({ port, ui }: { port: number; ui?: string[] }) => {
      const [{ startCodecServer }, { payloadKeys, payloadKeysVariable }] = await Promise.all([
        import('../../infra/temporal/codecServer.ts'),
        import('../../infra/temporal/payloadCodec.ts'),
      ]);
      const keys = payloadKeys(context.env);
      const origins = ui ?? defaultOrigins;
      const server = await startCodecServer({ keys, port, origins });
      try {
        print(context, `Codec server: ${server.address}`);
        if (keys.length === 0) remark(context, `${payloadKeysVariable} is not set: what is encrypted can't be shown.`);
        remark(context, `Answers pages of ${origins.join(', ')}. Ctrl-C ends it.`);
        if (!context.signal.aborted) await once(context.signal, 'abort');
      } finally {
        await server.close();
      }
    });
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('A port is a number up to 65535.');
  return port;
}

/** Scheme, host and port of an address; a path is left off. */
function originOf(text: string): string {
  const { protocol, origin } = URL.parse(text) ?? {};
  if (!origin || !/^https?:$/.test(protocol ?? '')) throw new InvalidArgumentError('Write http://host:port.');
  return origin;
}
