/** Malformed settings of model, engine, library, chains and cases: values, paths, combinations. */
import type { BadInput } from '../badInput.ts';
import { lines } from './configurationFile.ts';

export const guidanceSettings: BadInput[] = [
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
  lines('a benchmark that is none', 'library: { decontaminate: [advbnch] }', 'library.decontaminate[0]', 'advbench'),
  lines('a benchmark decontaminated of twice', 'library: { decontaminate: [xstest, xstest] }', '"xstest" stands twice'),
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
  lines('a model that is a null byte', 'model: { source: "a\\0b" }', 'model.source: '),
];
