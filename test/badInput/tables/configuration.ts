/** Malformed configurations: the form of the file, its keys, and every setting with a value of the wrong kind. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { listSettings } from '../../../infra/configuration/jsonSchema.ts';
import { readConfiguration } from '../../../infra/configuration/readConfiguration.ts';
import type { BadInput } from '../badInput.ts';
import { file, lines } from './configurationFile.ts';

const startFrom = '`cada init` writes a commented';

export const configurationFiles: BadInput[] = [
  file('an empty file', '', 'run.yaml:1:1  the file holds no settings', startFrom),
  file('comments alone', '# nothing\n', 'the file holds no settings', startFrom),
  file('a list', '- a\n', 'run.yaml:1:1  the file is not a list of settings', 'found:    a list', startFrom),
  file('a text', 'hello\n', 'the file is not a list of settings', 'found:    a single text'),
  file('a number', '7\n', 'the file is not a list of settings'),
  file('JSON cut off', '{"name": "a"', 'run.yaml:1:', 'not valid YAML'),
  file('bytes of an image', new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0, 0, 0, 1]), 'run.yaml:1:'),
  file('a tab', 'name: a\nengine:\n\tthreads: 2\n', 'run.yaml:3:', 'a tab indents this line', 'spaces only'),
  file('a key given twice', 'name: a\nseed: 1\nseed: 2\n', 'run.yaml:3:1  seed: the key stands twice', 'remove one'),
  file('an anchor', 'name: &run a\n', 'run.yaml:1:', 'the anchor `&run` stands here', 'written out'),
  file('an alias', 'name: a\nseed: *x\n', 'run.yaml:2:'),
  file(
    'a tag that runs code elsewhere',
    'name: !!js/function "x"\n',
    'run.yaml:1:',
    'the tag `tag:yaml.org,2002:js/function`',
  ),
  file('a tag of its own', 'name: !env a\n', 'the tag `!env` stands here'),
  file(
    'two documents',
    'name: a\n---\nname: b\n',
    'run.yaml:2:',
    'a second document begins here',
    'one configuration a file',
  ),
  file('an unclosed quote', 'name: "a\n', 'not valid YAML'),
  file('an unclosed list', 'name: a\nlora: { targets: [q_proj }\n', 'run.yaml:2:', 'not valid YAML'),
  file('brackets thousands deep', `name: ${'['.repeat(20_000)}`, 'run.yaml:'),
  file('a merge key', 'name: a\n<<: { seed: 1 }\n', 'run.yaml:2:', 'there is no such setting'),
  file('a key that is a list', 'name: a\n? [x]\n: 1\n', 'run.yaml:', 'there is no such setting'),
  file('__proto__', 'name: a\n__proto__: { seed: 1 }\n', '__proto__: there is no such setting'),
  file('no name', 'seed: 1\n', 'name: this setting is missing'),
  file(
    'a name in capitals',
    'name: My Run\n',
    'run.yaml:1:7  name: the value is not allowed',
    'lower-case letters, digits and dashes',
  ),
  file('a name that climbs', 'name: ../../etc\n', 'name: the value is not allowed', 'lower-case letters'),
  file('a name of fifty letters', `name: ${'a'.repeat(50)}\n`, 'name: the value is not allowed', 'at most 40'),
  file('a name that is a number', 'name: 7\n', 'found:    7', 'allowed:'),
  lines(
    'an alias that stands for gigabytes',
    'a: &a [x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]',
    'the anchor `&a` stands here',
  ),
  lines(
    'a mistyped section',
    'warmstart: { epochs: 2 }',
    'run.yaml:2:1  warmstart: there is no such setting',
    'did you mean `warmStart`?',
  ),
  lines(
    'a mistyped setting',
    'engine: { thread: 2 }',
    'engine.thread: there is no such setting',
    'did you mean `threads`?',
  ),
  lines(
    'a setting in the wrong section',
    'epochs: 2',
    'epochs: there is no such setting',
    'did you mean `warmStart.epochs`?',
  ),
  lines('an empty section', 'rewards:', 'rewards: the section is empty: give it settings or leave it out'),
  lines('a setting without value', 'seed:', 'seed: the setting has no value: give it one or leave it out'),
  lines('a section that is a number', 'engine: 2', 'engine: the value is not allowed', 'found:    2', 'a section with'),
  lines('booleans of YAML 1.1', 'model: { fallback: yes }', 'found:    "yes" (a text)', 'allowed:  true or false'),
  {
    name: 'a file that is not there',
    input: (folder) => () => readConfiguration(join(folder, 'no.yaml')),
    says: ['no.yaml:1:1  there is no such file', startFrom],
  },
  {
    name: 'a folder',
    input: async (folder) => {
      await mkdir(join(folder, 'run.yaml'));
      return () => readConfiguration(join(folder, 'run.yaml'));
    },
    says: ['this is a folder, not a file', startFrom],
  },
];

/** What no setting takes: a list of sections. */
const wrong = '[{ a: 1 }]';

export const wrongKinds: BadInput[] = listSettings().map(({ path, key }) => {
  const text = path.reduceRight((inner, part) => `{ ${part}: ${inner} }`, wrong);
  const content = key === 'name' ? `name: ${wrong}\n` : `name: a\n${text.slice(2, -2)}\n`;
  const place = key === 'name' ? 'run.yaml:1:' : 'run.yaml:2:';
  return file(`a list of sections for ${key}`, content, place, `${key}`, 'allowed:');
});
