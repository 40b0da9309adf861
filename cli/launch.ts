/** The operations, put together from the parts that do them. */
import { CliError } from './errors.ts';
import { exitCodes } from './exitCodes.ts';
import type { CadaOperations } from './operations.ts';

export async function openOperations(): Promise<CadaOperations> {
  const missing = (what: string) => () =>
    Promise.reject(new CliError(`\`cada ${what}\` is not wired to its implementation yet.`, exitCodes.failure));
  return Promise.resolve({
    train: missing('train'),
    watch: missing('watch'),
    progress: () => Promise.resolve(undefined),
    control: missing('control'),
    work: missing('worker'),
    examine: missing('doctor'),
    tryRequest: missing('try'),
    ask: missing('ask'),
    serveUi: missing('ui'),
  });
}
