/** Malformed safetensors files. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readSafetensors } from '../../../engine/formats/safetensors.ts';
import { safetensorsBytes } from '../../engine/formats/safetensorsBytes.ts';
import type { BadInput } from '../badInput.ts';

const four = new Uint8Array(4);
const entry = (more: object = {}) => ({ t: { dtype: 'F32', shape: [1], data_offsets: [0, 4], ...more } });
const remedy = /copy or download it again/;

function file(name: string, bytes: Uint8Array, ...says: (string | RegExp)[]): BadInput {
  return {
    name,
    input: async (folder) => {
      const path = join(folder, 'model.safetensors');
      await writeFile(path, bytes);
      return () => readSafetensors(path);
    },
    says: ['model.safetensors: ', ...says],
  };
}

const header = (name: string, value: string | object, data: Uint8Array, ...says: (string | RegExp)[]): BadInput =>
  file(name, safetensorsBytes(value, data), ...says, remedy);

export const safetensorsFiles: BadInput[] = [
  file('an empty file', new Uint8Array(0), 'has only 0 bytes', remedy),
  file('seven bytes', new Uint8Array(7), 'has only 7 bytes', remedy),
  file('a length and nothing behind it', safetensorsBytes(''), 'claims a header of 0 bytes', remedy),
  file(
    'an absurd header length',
    safetensorsBytes('{}', four, 2n ** 63n),
    'claims a header of 9223372036854775808 bytes',
    remedy,
  ),
  file('the longest header length', safetensorsBytes('{}', four, 2n ** 64n - 1n), /claims a header of \d{20} bytes/),
  file(
    'a header longer than the file',
    safetensorsBytes('{}', four, 7n),
    'claims a header of 7 bytes; the file has 6',
    remedy,
  ),
  file('a pickle of PyTorch', Buffer.from('PK\u0003\u0004' + 'x'.repeat(60)), 'claims a header of', remedy),
  file('an error page of a web server', Buffer.from('<!doctype html><title>404</title>'), 'claims a header of', remedy),
  file('a pointer of Git LFS', Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:0\n'), remedy),
  header('a header that is not JSON', '{"a":', four, 'the header is not JSON'),
  header('a header that is not UTF-8', '{"\u0080"', four, 'the header is not JSON'),
  header('a header that is a list', '[1,2]', four, 'has a header that is not a JSON object'),
  header('a header that is null', 'null', four, 'has a header that is not a JSON object'),
  header('a header of nested brackets', '['.repeat(100_000), four, 'the header is not JSON'),
  header(
    'a name given twice, once escaped',
    '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0061" : 1}',
    four,
    'has "a" twice in its header',
  ),
  header('metadata that are not texts', { __metadata__: { a: 1 } }, new Uint8Array(0), 'metadata that do not map'),
  header('metadata that are a list', { __metadata__: ['a'] }, new Uint8Array(0), 'metadata that do not map'),
  header('a tensor that is a number', { t: 4 }, four, 'describes tensor "t" wrongly: not an object'),
  header('an unknown dtype', entry({ dtype: 'Q4' }), four, 'unknown dtype "Q4" (known: BOOL, U8'),
  header('a dtype out of the prototype', entry({ dtype: 'constructor' }), four, 'unknown dtype "constructor"'),
  header('no shape', entry({ shape: undefined }), four, 'describes tensor "t" wrongly: shape undefined'),
  header('a negative size', entry({ shape: [-1] }), four, 'shape [-1]'),
  header('a fractional size', entry({ shape: [0.5, 2] }), four, 'shape [0.5,2]'),
  header('a size that is a text', entry({ shape: ['1'] }), four, 'shape ["1"]'),
  header('seventeen dimensions', entry({ shape: Array(17).fill(1) }), four, 'shape [1,1,'),
  header(
    'a shape that overflows',
    entry({ shape: [2 ** 40, 2 ** 40] }),
    four,
    /F32 of shape \[1099511627776, .* needs/,
  ),
  header(
    'a shape that does not fit its bytes',
    entry({ shape: [2] }),
    four,
    'F32 of shape [2] needs 8 bytes, data_offsets give 4',
  ),
  header('offsets past the end', entry({ data_offsets: [4, 8] }), four, 'data_offsets [4, 8] outside of the 4 bytes'),
  header('offsets in the wrong order', entry({ data_offsets: [4, 0] }), four, 'data_offsets [4, 0] outside of'),
  header('one offset', entry({ data_offsets: [0] }), four, 'data_offsets [0]'),
  header('an absurd offset', entry({ data_offsets: [0, 1e300] }), four, 'data_offsets [0,1e+300]'),
  header('bytes that no tensor describes', entry(), new Uint8Array(8), 'has 8 bytes of data, its header describes 4'),
  header(
    'tensors that overlap',
    { ...entry(), u: { dtype: 'U8', shape: [2], data_offsets: [3, 5] } },
    new Uint8Array(5),
    'gap or an overlap before tensor "u" (starts at 3, expected 4)',
  ),
  header(
    'a gap between tensors',
    { ...entry(), u: { dtype: 'U8', shape: [1], data_offsets: [5, 6] } },
    new Uint8Array(6),
    'gap or an overlap before tensor "u" (starts at 5, expected 4)',
  ),
  {
    name: 'a path to nothing',
    input: (folder) => () => readSafetensors(join(folder, 'absent.safetensors')),
    says: ["absent.safetensors: can't be opened", 'Check the path.'],
  },
  {
    name: 'a folder',
    input: (folder) => () => readSafetensors(folder),
    says: ['is not a file', 'Give the path of a safetensors file.'],
  },
];
