/** Malformed configurations: YAML, values, combinations, paths; and every setting with a value of the wrong kind. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { listSettings } from '../../../infra/configuration/jsonSchema.ts';
import { readConfiguration } from '../../../infra/configuration/readConfiguration.ts';
import type { BadInput } from '../badInput.ts';

type Says = (string | RegExp)[];

function file(name: string, content: string | Uint8Array, ...says: Says): BadInput {
  return {
    name,
    input: async (folder) => {
      const path = join(folder, 'run.yaml');
      await writeFile(path, content);
      return () => readConfiguration(path);
    },
    says: [/The configuration has (one problem|\d+ problems):\n/, ...says],
  };
}

/** The lines stand below `name: a`, so the first of them is line 2. */
const lines = (name: string, text: string, ...says: Says): BadInput => file(name, `name: a\n${text}\n`, ...says);

const startFrom = '`cada init` writes a commented';

const markSettings: BadInput[] = [
  lines(
    'marks for answers that are no chains',
    'warmStart: { target: refusal, marks: { of: demo } }',
    'warmStart.marks: ',
    "target 'refusal' learns no chains",
  ),
  lines(
    'marks for no warm start',
    'warmStart: { enabled: false, marks: { of: demo } }',
    'warmStart.marks: ',
    'enable it',
  ),
  lines('marks for policy gradients', 'iteration: { marks: { of: demo } }', 'iteration.marks: ', 'iteration.method'),
  lines(
    'a file of marks that is not there',
    'warmStart: { marks: { of: no.jsonl } }',
    'run.yaml:2:',
    'warmStart.marks.of: there is nothing at ',
    'the id of a run',
  ),
  lines(
    'marks by a digest that is none',
    'warmStart: { marks: { of: demo, chains: abc } }',
    'warmStart.marks.chains: ',
    '64 hexadecimal digits',
  ),
  lines('marks of nothing', 'warmStart: { marks: {} }', 'warmStart.marks.of: '),
];

export const configurationFiles: BadInput[] = [
  ...markSettings,
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
  lines(
    'a device that is none',
    'engine: { device: tpu }',
    'found:    "tpu" (a text)',
    'one of cpu, cuda, webgpu, auto',
  ),
  lines('a projection that is none', 'lora: { targets: [q_prj] }', 'lora.targets[0]: ', '"q_prj"', 'one of q_proj'),
  lines('no projections', 'lora: { targets: [] }', 'lora.targets: the value is not allowed'),
  lines('a chain format that is none', 'chain: { format: xml }', 'chain.format: ', 'one of headings, think, pattern'),
  lines('a pattern that is not there', 'chain: { format: pattern }', 'chain.format: ', 'needs the section `pattern`'),
  lines(
    'a pattern for another format',
    'chain: { pattern: { analysisMarker: a, responseMarker: b } }',
    'chain.pattern: ',
    "is only read with format 'pattern'",
  ),
  lines(
    'one marker of two',
    'chain: { format: pattern, pattern: { analysisMarker: "Why:" } }',
    'chain.pattern: ',
    'responseMarker is missing: what opens the final response',
  ),
  lines(
    'an expression that is none',
    'chain: { format: pattern, pattern: { expression: "(?<analysis>", example: "{analysis} {response}" } }',
    'chain.pattern.expression: ',
    'is no regular expression',
  ),
  lines(
    'an expression without its groups',
    'chain: { format: pattern, pattern: { expression: "(.*)", example: "{analysis} {response}" } }',
    'chain.pattern.expression: ',
    'has no group (?<analysis>...): add it',
  ),
  lines(
    'an expression that never ends',
    'chain: { format: pattern, pattern: { expression: "(?<analysis>(a+)+)!(?<response>.*)", example: "{analysis}!{response}" } }',
    'chain.pattern.expression: ',
    'such a group can take years',
  ),
  lines(
    'thinking that is off in a reasoning turn',
    'chain: { format: think, thinking: false }',
    'chain.thinking: ',
    'leave it out, or use another format',
  ),
  lines('no pairs for faithfulness', 'evaluation: { faithfulness: { pairs: 0 } }', 'evaluation.faithfulness.pairs'),
  lines('faithfulness that is no mapping', 'evaluation: { faithfulness: true }', 'evaluation.faithfulness'),
  lines(
    'faithfulness of a format whose parts can not be handed over',
    `evaluation: { faithfulness: {} }
chain:
  format: pattern
  pattern: { expression: '<a>(?<analysis>[^<]*)</a><b>(?<response>[^<]*)</b>', example: '<a>{analysis}</a><b>{response}</b>' }`,
    'evaluation.faithfulness: ',
    'use headings, think or two markers',
  ),
  lines('a hazard withheld that is no list', 'library: { withhold: privacy }', 'library.withhold', 'a list'),
  lines('a hazard withheld twice', 'library: { withhold: [hate, hate] }', 'library.withhold[1]: "hate" stands twice'),
  lines(
    'hazards withheld from the requests that are evaluated on',
    'library: { withhold: [hate] }\nevaluation: { split: development }',
    'evaluation.split: ',
    "use 'heldOut'",
  ),
  lines('an odd number of cases', 'cases: { count: 3 }', 'run.yaml:2:', 'contrast pairs', 'use an even number'),
  lines('too many cases', 'cases: { count: 98 }', 'a whole number from 0 to 16'),
  lines(
    'a sampling that is none',
    'cases: { sampling: nearest }',
    'cases.sampling: the value is not allowed',
    'one of category, random, fixed, similarity, none',
  ),
  lines(
    'a measure of similarity that nothing reads',
    'cases: { similarity: { by: bm25 } }',
    'cases.similarity: ',
    "only read by sampling 'similarity' and by the orders",
  ),
  lines(
    'settings of BM25 for embeddings',
    'cases: { sampling: similarity, similarity: { by: embeddings, k1: 1 } }',
    'k1 and b are settings of bm25',
  ),
  lines(
    'BM25 with a length weight above 1',
    'cases: { sampling: similarity, similarity: { b: 2 } }',
    'cases.similarity.b: the value is not allowed',
    'from 0 to 1',
  ),
  lines('an order of no cases', 'cases: { sampling: none, order: random }', 'cases.order: ', 'shows no cases'),
  lines(
    'guidance by no cases and no codes',
    'cases: { sampling: none, codes: none }\niteration: { guidance: mixed }',
    'cases.sampling: ',
    "guidance 'raw'",
  ),
  lines(
    'guidance without cases and codes',
    'cases: { count: 0, codes: none }\niteration: { guidance: cases }',
    'iteration.guidance: ',
    "raise the one, change the other, or use 'raw'",
  ),
  lines(
    'nothing to train',
    'warmStart: { enabled: false }\niteration: { count: 0 }',
    'nothing to train: enable the warm start',
  ),
  lines('KL to a warm start that is off', 'warmStart: { enabled: false }', 'iteration.klReference: ', "use 'base'"),
  lines(
    'a validator without methods to choose from',
    'iteration: { method: dpo, preference: { chosen: validator } }',
    'iteration.preference.chosen: ',
    "'dpo' has one method only",
  ),
  lines(
    'a validator that weighs one side alone',
    'iteration: { method: iterative, preference: { chosen: validator, validator: { requests: { harmful: 0 } } } }',
    'iteration.preference.validator: ',
    'ask for harmful and harmless requests',
  ),
  lines(
    'a validator that asks no endpoint',
    'iteration: { method: iterative, preference: { chosen: validator, validator: { judge: endpoint } } }',
    'iteration.preference.validator: ',
    'add its url and model',
  ),
  lines(
    'chains by a teacher that is not there',
    'warmStart: { source: teacher }',
    'warmStart.source: there is no teacher to ask',
    'add the section teacher',
  ),
  lines(
    'a deliberation that nobody holds',
    'warmStart: { deliberation: { rounds: 2 } }',
    'warmStart.deliberation: ',
    "only source 'deliberation' reads it",
  ),
  lines(
    'a deliberation without an end',
    'warmStart: { source: deliberation, deliberation: { rounds: 100 } }',
    'warmStart.deliberation.rounds: the value is not allowed',
    'from 1 to 8',
  ),
  lines(
    "a teacher's key in the configuration",
    'teacher: { url: "http://127.0.0.1:1/v1", model: a, apiKeyVariable: sk-live-0123 }',
    'teacher.apiKeyVariable: ',
  ),
  lines(
    'chains to be rejected, and nothing that rejects them',
    'iteration: { preference: { badBelief: also } }',
    'iteration.preference: ',
    'only iteration.method reads it',
  ),
  lines(
    'two judges',
    'judge: { url: "http://127.0.0.1:1/v1", model: a }\nenvironmentJudge: { codes: simple }',
    'environmentJudge: ',
    'leave one of the two out',
  ),
  lines('a negative seed', 'seed: -1', 'seed: the value is not allowed', 'a whole number, 0 or more'),
  lines('a seed beyond exact numbers', 'seed: 1e300', 'seed: the value is not allowed', 'a whole number'),
  lines('not a number', 'lora: { alpha: .nan }', 'found:    NaN', 'a number, more than 0'),
  lines('infinity', 'iteration: { learningRate: .inf }', 'iteration.learningRate: the value is not allowed'),
  lines('a learning rate of zero', 'iteration: { learningRate: 0 }', 'iteration.learningRate: ', 'more than 0'),
  lines(
    'a temperature of zero for sampling',
    'iteration: { temperature: 0 }',
    'iteration.temperature: ',
    'more than 0',
  ),
  lines('a group of one', 'iteration: { samplesPerRequest: 1 }', 'iteration.samplesPerRequest: ', '2 or more'),
  lines('a share above one', 'iteration: { maxUnscorable: 1.5 }', 'iteration.maxUnscorable: ', 'from 0 to 1'),
  lines(
    'shards that are no power of two',
    'shards: { gradientSequences: 6 }',
    'shards.gradientSequences: ',
    'a power of two',
  ),
  lines('threads by the thousand', 'engine: { threads: 100000 }', 'engine.threads: ', 'from 1 to 256'),
  lines(
    'a model that is not there',
    'model: { source: ./no.gguf }',
    'model.source: there is nothing at ',
    'hub id such as',
  ),
  lines(
    'a library that is not there',
    'library: { path: nowhere }',
    'library.path: there is nothing at ',
    'a folder with codes/',
  ),
  lines(
    'a domain that does not ship',
    'library: { domain: halthcare }',
    'library.domain: ',
    'healthcare, software',
    'did you mean `healthcare`',
  ),
  lines(
    'a domain and a folder',
    'library: { domain: software, path: . }',
    'library.domain: a run has one library',
    'leave out library.domain, or library.path',
  ),
  lines(
    'a model whose name is empty',
    'model: { source: "" }',
    'model.source: the value is not allowed',
    'an empty text',
  ),
  lines(
    'a guard model that is not there',
    'rewards: { guard: 1 }\nguardModel: { source: ./nowhere.gguf }',
    'run.yaml:3:',
    'guardModel.source: there is nothing at ',
    'hub id such as',
  ),
  lines(
    'a reward by a guard model that nobody names',
    'rewards: { guard: 1 }',
    'rewards.guard: needs a guard model: add the section `guardModel` with its source',
  ),
  lines(
    'a guard model that nobody asks',
    'guardModel: { source: Owner/guard }',
    'guardModel.source: is not asked: give rewards.guard a weight',
  ),
  lines(
    'a guard model asked by an instruction without the response',
    'rewards: { guard: 1 }\nguardModel: { source: Owner/guard, instruction: "Is {request} bad?" }',
    'guardModel.instruction: has no {response}',
  ),
  lines(
    'a guard model with one word for both answers',
    'rewards: { guard: 1 }\nguardModel: { source: Owner/guard, words: { safe: a, unsafe: a } }',
    'guardModel.words: both answers are the same word',
  ),
  lines(
    'an ensemble of a judge that is not there',
    'rewards: { ensemble: 1 }\nensemble: { judges: [rules, rubric] }',
    "ensemble.judges: 'rubric' needs a rubric judge: add the section `judge`",
  ),
  lines(
    'an ensemble that waits for more judges than it has',
    'rewards: { ensemble: 1 }\nensemble: { judges: [rules], least: 2 }',
    'ensemble.least: so many can never say: there are 1 judges',
  ),
  lines(
    'a function of the user that is not there',
    'rewards: { own: [{ name: a, file: gone.ts, weight: 1 }] }',
    'rewards.own[0].file: there is nothing at ',
    'a module of one file that exports a function',
  ),
  lines(
    'a function in another language',
    'rewards: { own: [{ name: a, file: a.py, weight: 1 }] }',
    'rewards.own[0].file: ',
    'a .js, .mjs, .ts or .mts file',
  ),
  lines(
    'two functions of one name',
    'rewards: { own: [{ name: a, file: a.js, weight: 1, code: "" }, { name: a, file: b.js, weight: 1, code: "" }] }',
    'rewards.own[1].name: "a" is the name of another one above',
  ),
  lines(
    'a release by a figure that no evaluation has',
    'release: { criteria: [{ figure: refusal/harmfull, atLeast: 0.8 }] }',
    'run.yaml:2:',
    'release.criteria[0].figure: there is no figure "refusal/harmfull" in the final evaluation of this configuration',
    'it has format, reward, refusal/harmful, refusal/plain, refusal/look-alike, utility/loss',
  ),
  lines(
    'a release by a benchmark that is not evaluated',
    'release: { criteria: [{ figure: xstest/refusal/look-alike, atMost: 0.2 }] }',
    'release.criteria[0].figure: there is no figure "xstest/refusal/look-alike"',
  ),
  lines(
    'a criterion without a limit',
    'release: { criteria: [{ figure: format }] }',
    'release.criteria[0].atMost: has no limit: give it atMost, atLeast or both',
  ),
  lines(
    'a criterion that nothing meets',
    'release: { criteria: [{ figure: format, atLeast: 0.9, atMost: 0.1 }] }',
    'release.criteria[0].atLeast: no value is at least 0.9 and at most 0.1',
  ),
  lines(
    'a change over a warm start that is not evaluated',
    'evaluation: { afterWarmStart: false }\nrelease: { criteria: [{ figure: format, over: warmStart, atLeast: 0 }] }',
    'run.yaml:3:',
    "release.criteria[0].over: the warm-started policy is not evaluated: use 'base'",
  ),
  lines(
    'a release of nothing',
    'release: {}',
    'release.criteria: nothing is asked: add criteria, or approval: required',
  ),
  lines(
    'a time limit for nobody',
    'release: { criteria: [{ figure: format, atLeast: 0 }], timeoutHours: 3 }',
    'release.timeoutHours: nobody is waited for: add approval: required',
  ),
  lines(
    'a way out without a time limit',
    'release: { approval: required, onTimeout: reject }',
    'release.onTimeout: there is no time limit: add timeoutHours',
  ),
  lines(
    'an approval by criteria that are not there',
    'release: { approval: required, timeoutHours: 3, onTimeout: approve-if-met }',
    'release.onTimeout: without criteria everything would be approved',
  ),
  lines('an approval by nobody', 'release: { approval: maybe }', 'release.approval: ', 'only required'),
  lines('a model that is a null byte', 'model: { source: "a\\0b" }', 'model.source: '),
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
