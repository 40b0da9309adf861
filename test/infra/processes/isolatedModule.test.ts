import { afterEach, expect, it } from 'vitest';
import {
  IsolatedModuleError,
  openIsolatedModule,
  type IsolatedModule,
} from '../../../infra/processes/isolatedModule.ts';

let module: IsolatedModule | undefined;
afterEach(() => module?.close());

const open = (code: string, changes: object = {}): IsolatedModule =>
  (module = openIsolatedModule({
    ...{ code, typescript: true, timeoutMs: 20_000, memoryMegabytes: 64, mostDeaths: 2 },
    ...changes,
  }));

it('calls the default export, or `reward`, with types taken out; answers may be promised', async () => {
  const code = 'export const range = [0, 9];\nexport default (chain: { text: string }): number => chain.text.length;';
  expect(await open(code).call({ text: 'four' })).toBe(4);
  expect(module!.exported).toEqual({ range: [0, 9] });
  expect(await open('export async function reward({ a }) { return a + 1 }').call({ a: 1 })).toBe(2);
  expect(await open('export default () => undefined').call({})).toBeUndefined();
  expect(await open('export default () => NaN').call({})).toBeNaN();
});

it('remembers between calls what the module keeps, and goes on after an exception', async () => {
  const counting = open('let n = 0; export default ({ bad }) => { if (bad) throw new Error("no"); return ++n; }');
  expect(await counting.call({})).toBe(1);
  await expect(counting.call({ bad: true })).rejects.toThrow(new IsolatedModuleError('it threw: no'));
  expect(await counting.call({})).toBe(2);
});

it.each([
  ['export default () => { for (;;); }', { timeoutMs: 1000 }, 'it took more than 1 s'],
  ['await new Promise(() => {}); export default () => 1', { timeoutMs: 1000 }, 'it took more than 1 s'],
  ['export default () => { const a = []; for (;;) a.push([...Array(999)]) }', {}, 'it took more than 64 MB'],
  ['export default () => { const a = []; for (;;) a.push(Buffer.alloc(1e6, 1)) }', {}, 'it took more than 64 MB'],
  ['export default () => process.exit(0)', {}, 'its process ended'],
])('%s is ended, and not started for ever', async (code, changes, message) => {
  const ending = open(code, changes);
  for (let call = 0; call < 4; call++) await expect(ending.call({})).rejects.toThrow(new IsolatedModuleError(message));
});

it('after one death the next call has a new process', async () => {
  const once = open('export default ({ die }) => die ? process.exit(1) : 7');
  await expect(once.call({ die: true })).rejects.toThrow(IsolatedModuleError);
  expect(await once.call({})).toBe(7);
});

it.each([
  ['export default () => {', /it can not be loaded/],
  ['export const a = 1', /it exports no function: write `export default function/],
  ['import "./other.js"; export default () => 1', /it can not be loaded/],
  ['export const range = 3; export default () => 1', /its export range is not/],
])('%s is told at every call', async (code, message) => {
  const wrong = open(code);
  await expect(wrong.call({})).rejects.toThrow(message);
  await expect(wrong.call({})).rejects.toThrow(message);
});

it('has no files, no children and nothing of the environment', async () => {
  process.env['CADA_JUDGE_API_KEY'] = 'key-3917';
  try {
    expect(await open('export default () => JSON.stringify(process.env)').call({})).not.toContain('3917');
  } finally {
    delete process.env['CADA_JUDGE_API_KEY'];
  }
  const reads = 'import { readFileSync } from "node:fs"; export default () => readFileSync("package.json", "utf8")';
  await expect(open(reads).call({})).rejects.toThrow(/restricted/);
  const runs = 'import { execSync } from "node:child_process"; export default () => String(execSync("ls"))';
  await expect(open(runs).call({})).rejects.toThrow(/restricted/);
  expect(await open('export default () => ({})').call({})).toEqual({ type: 'object' });
});
