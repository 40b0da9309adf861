/** Malformed settings of warm start, iterations and marks: values and combinations. */
import type { BadInput } from '../badInput.ts';
import { lines } from './configurationFile.ts';

export const trainingSettings: BadInput[] = [
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
  lines(
    'more rounds of refilling than a payload holds',
    'iteration: { skipUniform: true, refillRounds: 6 }',
    'iteration.refillRounds: the value is not allowed',
    'from 1 to 5',
  ),
  lines('threads by the thousand', 'engine: { threads: 100000 }', 'engine.threads: ', 'from 1 to 256'),
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
