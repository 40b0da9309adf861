/** Malformed tokenizers and chat templates. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadTokenizer } from '../../../engine/tokenizer/tokenizer.ts';
import { ggufBytes, i32s, text, texts, u32 } from '../../engine/formats/ggufBytes.ts';
import type { BadInput } from '../badInput.ts';
import { writeTinyFolder, type FolderChanges, type tinyTokenizer } from '../tinyFolder.ts';

type Says = (string | RegExp)[];

/** A folder whose tokenizer is loaded and used once. */
function folder(name: string, changes: FolderChanges, ...says: Says): BadInput {
  return {
    name,
    input: async (parent) => {
      const path = await writeTinyFolder(parent, changes);
      return async () => {
        const tokenizer = await loadTokenizer(path);
        tokenizer.encodeChat([{ role: 'user', content: 'ab'.repeat(40) }]);
      };
    },
    says,
  };
}

const again = 'Download it again';
const json = (name: string, change: (tokenizer: typeof tinyTokenizer) => unknown, ...says: Says): BadInput =>
  folder(name, { tokenizer: change }, ...says);
const model = (name: string, more: Record<string, unknown>, ...says: Says): BadInput =>
  json(
    name,
    (whole) => ({ ...whole, model: { ...(whole.model as object), ...more } }),
    'tokenizer.json: ',
    again,
    ...says,
  );
const added = (name: string, tokens: unknown, ...says: Says): BadInput =>
  json(name, (whole) => ({ ...whole, added_tokens: tokens }), 'tokenizer.json: "added_tokens" ', again, ...says);

export const tokenizerFolders: BadInput[] = [
  folder('no tokenizer.json', { files: { 'tokenizer.json': null } }, 'has no tokenizer.json', 'save_pretrained'),
  folder(
    'a tokenizer.json cut off',
    { files: { 'tokenizer.json': '{"model":{"vocab":{"a"' } },
    'tokenizer.json: is not JSON',
    again,
  ),
  folder(
    'a tokenizer.json that is a list',
    { files: { 'tokenizer.json': '[1]' } },
    'tokenizer.json: is not a JSON object',
    again,
  ),
  folder(
    'a tokenizer_config.json that is not JSON',
    { files: { 'tokenizer_config.json': 'x' } },
    'tokenizer_config.json: is not JSON',
    again,
  ),
  json('no model', (whole) => ({ ...whole, model: null }), 'tokenizer.json: has no model with a vocabulary', again),
  json('a model that is a text', (whole) => ({ ...whole, model: 'BPE' }), 'has no model with a vocabulary'),
  json(
    'an unknown model',
    (whole) => ({ ...whole, model: { type: 'New', vocab: {} } }),
    'the model is of type "New"; BPE, WordPiece, Unigram are supported',
  ),
  json(
    'an unknown pre-tokenizer',
    (whole) => ({ ...whole, pre_tokenizer: { type: 'New' } }),
    "the tokenizer can't be built",
  ),
  json('a normalizer that is a number', (whole) => ({ ...whole, normalizer: 7 }), "the tokenizer can't be built"),
  model('no vocabulary', { vocab: undefined }, 'has no model with a vocabulary'),
  model('an id that is a text', { vocab: { a: '2' } }, 'the vocabulary gives "a" the id "2"'),
  model('a negative id', { vocab: { a: -1 } }, 'the vocabulary gives "a" the id -1'),
  model('an absurd id', { vocab: { a: 2 ** 40 } }, 'the vocabulary gives "a" the id 1099511627776'),
  model('a fractional id', { vocab: { a: 0.5 } }, 'the vocabulary gives "a" the id 0.5'),
  model('merges that are a text', { merges: 'a b' }, '"merges" is "a b", not a list'),
  model('a merge of one', { merges: ['ab'] }, '"merges" holds "ab", which is not a pair'),
  model('a merge of three', { merges: [['a', 'b', 'c']] }, '"merges" holds ["a","b","c"], which is not a pair'),
  model('a merge of numbers', { merges: [[1, 2]] }, '"merges" holds [1,2], which is not a pair'),
  model('a merge that is null', { merges: [null] }, '"merges" holds null, which is not a pair'),
  added('added tokens that are an object', { id: 0 }, 'is {"id":0}, not a list'),
  added('an added token that is null', [null], 'holds null, which has no id and content'),
  added('an added token without content', [{ id: 0, special: true }], 'which has no id and content'),
  added('an empty added token', [{ id: 0, content: '', special: true }], 'which has no id and content'),
  added('an added token with an id of text', [{ id: '0', content: '<s>', special: true }], 'has no id and content'),
  added('an added token with an absurd id', [{ id: 1e300, content: '<s>', special: true }], 'has no id and content'),
  json(
    'a pattern that never ends',
    (whole) => ({
      ...whole,
      pre_tokenizer: {
        type: 'Split',
        pattern: { Regex: '(?:a|b|ab)*c' },
        behavior: 'Isolated',
        invert: false,
      },
    }),
    'the tokenizer takes more than',
    'a pattern in its tokenizer.json never ends',
  ),
  json(
    'a pattern that is none',
    (whole) => ({
      ...whole,
      pre_tokenizer: { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated', invert: false },
    }),
    "the tokenizer can't be built",
    'Download the model again',
  ),
];

const gguf = (name: string, change: Record<string, [number, Uint8Array] | undefined>, ...says: Says): BadInput => ({
  name,
  input: async (parent) => {
    const whole: Record<string, [number, Uint8Array] | undefined> = {
      'general.architecture': [8, text('llama')],
      'tokenizer.ggml.model': [8, text('gpt2')],
      'tokenizer.ggml.pre': [8, text('gpt-2')],
      'tokenizer.ggml.tokens': [9, texts(['</s>', 'a', 'b', 'ab'])],
      'tokenizer.ggml.token_type': [9, i32s([3, 1, 1, 1])],
      'tokenizer.ggml.merges': [9, texts(['a b'])],
      'tokenizer.ggml.eos_token_id': [4, u32(0)],
      ...change,
    };
    const path = join(parent, 'model.gguf');
    const metadata = Object.entries(whole).flatMap(([key, value]): [string, number, Uint8Array][] =>
      value ? [[key, ...value]] : [],
    );
    await writeFile(path, ggufBytes({ metadata }));
    return () => loadTokenizer(path);
  },
  says: ['model.gguf: ', ...says],
});

export const ggufTokenizers: BadInput[] = [
  gguf(
    'of SentencePiece',
    { 'tokenizer.ggml.model': [8, text('llama')] },
    'tokenizer "llama" is not supported',
    "Use the model's Hugging Face folder",
  ),
  gguf(
    'no tokenizer',
    { 'tokenizer.ggml.model': undefined },
    'tokenizer undefined is not supported',
    'Hugging Face folder',
  ),
  gguf(
    'an unknown pre-tokenizer',
    { 'tokenizer.ggml.pre': [8, text('new')] },
    'pre-tokenizer "new" is not supported; smollm, gpt-2',
  ),
  gguf(
    'a pre-tokenizer out of the prototype',
    { 'tokenizer.ggml.pre': [8, text('constructor')] },
    '"constructor" is not supported',
  ),
  gguf('no tokens', { 'tokenizer.ggml.tokens': undefined }, '"tokenizer.ggml.tokens" is missing or malformed', again),
  gguf(
    'tokens that are numbers',
    { 'tokenizer.ggml.tokens': [9, i32s([1, 2])] },
    '"tokenizer.ggml.tokens" is missing or malformed',
  ),
  gguf(
    'types that are texts',
    { 'tokenizer.ggml.token_type': [9, texts(['3'])] },
    '"tokenizer.ggml.token_type" is missing or malformed',
  ),
  gguf(
    'a token given twice',
    { 'tokenizer.ggml.tokens': [9, texts(['</s>', 'a', 'a'])] },
    'holds a token twice',
    again,
  ),
  gguf('no merges', { 'tokenizer.ggml.merges': undefined }, '"tokenizer.ggml.merges" is missing or malformed'),
  gguf('a merge that is no pair', { 'tokenizer.ggml.merges': [9, texts(['ab'])] }, '"ab", which is not a pair', again),
  gguf(
    'an end token that is none',
    { 'tokenizer.ggml.eos_token_id': [4, u32(9)] },
    'eos_token_id" is 9, not an id of the 4 tokens',
  ),
  gguf(
    'an end token that is a text',
    { 'tokenizer.ggml.eos_token_id': [8, text('0')] },
    'eos_token_id" is "0", not an id',
  ),
];

const template = (name: string, value: string, ...says: Says): BadInput =>
  folder(name, { template: value }, 'the chat template refuses the chat', 'Use a model whose template', ...says);

export const chatTemplates: BadInput[] = [
  folder('none', { files: { 'chat_template.jinja': null } }, 'has no chat template', 'instruction-tuned'),
  template('that is not Jinja', '{% for m in %}', 'refuses'),
  template('that is not closed', '{% if true %}x', 'refuses'),
  template('that refuses', "{{ raise_exception('No system role here') }}", 'No system role here'),
  template('that calls what is not there', '{{ open("/etc/passwd") }}', /refuses the chat \(.*\)/),
  template('that looks for the prototype', '{{ messages.constructor.constructor("return process")() }}', 'refuses'),
  template(
    'that loops almost for ever',
    '{% for i in range(9999999999) %}x{% endfor %}',
    'range() asks for 9999999999 numbers',
  ),
  template('with a range that has no step', '{% for i in range(0, 5, 0) %}x{% endfor %}', 'range() needs a step'),
  template(
    'with loops in loops',
    '{% for i in range(30000) %}{% for j in range(30000) %}{% endfor %}{% endfor %}',
    'more than 100000 steps',
  ),
  template(
    'that doubles a text',
    "{% set ns = namespace(t='aa') %}{% for i in range(64) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t }}",
    'texts of more than',
  ),
  template(
    'that doubles a list',
    '{% set ns = namespace(l=[1, 2]) %}{% for i in range(64) %}{% set ns.l = ns.l + ns.l %}{% endfor %}',
    'lists of more than',
  ),
  template(
    'that gathers lists',
    '{% set big = range(30000) %}{% set ns = namespace(l=[]) %}{% for i in range(30000) %}{% set ns.l = ns.l + [big + [i]] %}{% endfor %}',
    'more than',
  ),
  template('that calls itself', '{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}', 'refuses'),
  template('of megabytes', '{# ' + 'x'.repeat(2 ** 21) + ' #}', 'at most 1048576 are taken'),
];
