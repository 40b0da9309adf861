/** A chain format of the user's own: two markers, or a regular expression with the groups `analysis` and `response`. */
import type { ChainPattern } from '../configuration/chainFormat.ts';
import { backtrackingProblem, boundedExec, PatternTooSlow } from './boundedPattern.ts';
import { splitAtMarks, type ParsedChain } from './marks.ts';

/**
 * Splits a chain by the pattern. Markers count wherever they stand. An expression has to match the whole chain (without blanks at its ends): what it
 * left over would be kept from the judge. A chain that it does not match is all final response.
 * @throws Error where the pattern is none (`patternProblem` tells), PatternTooSlow where the expression takes too long.
 */
export function parsePattern(text: string, pattern: ChainPattern): ParsedChain {
  if (pattern.expression === undefined) return parseMarkers(text, markersOf(pattern));
  const whole = text.trim();
  const groups = boundedExec(wholeExpression(pattern.expression), whole)?.groups;
  if (!groups) {
    const problems = ['does not match chain.pattern.expression'];
    return { analysis: '', finalResponse: whole, format: false, problems };
  }
  const analysis = groups['analysis']?.trim() ?? '';
  const finalResponse = groups['response']?.trim() ?? '';
  const problems = [
    ...(analysis === '' ? ['the analysis is empty'] : []),
    ...(finalResponse === '' ? ['the final response is empty'] : []),
  ];
  return { analysis, finalResponse, format: problems.length === 0, problems };
}

/** A chain with these parts. */
export function formatPattern(analysis: string, response: string, pattern: ChainPattern): string {
  const [why, answer] = [analysis.trim(), response.trim()];
  if (pattern.expression !== undefined) return fillExample(pattern.example ?? '', why, answer);
  const { analysisMarker, responseMarker } = markersOf(pattern);
  const gap = /^\s/.test(responseMarker) ? '' : '\n';
  return `${spaced(analysisMarker)}${why}${gap}${spaced(responseMarker)}${answer}`;
}

/** What is wrong with a pattern, and under which of its keys; undefined where nothing is. */
export function patternProblem(pattern: ChainPattern): { key?: keyof ChainPattern; message: string } | undefined {
  const { analysisMarker, responseMarker, expression } = pattern;
  if (expression !== undefined) {
    if (analysisMarker !== undefined || responseMarker !== undefined)
      return { key: 'expression', message: 'stands beside markers: write either two markers or an expression' };
    return expressionProblem(expression, pattern.example);
  }
  if (pattern.example !== undefined)
    return { key: 'example', message: 'is only read with `expression`: two markers need none' };
  if (analysisMarker === undefined && responseMarker === undefined)
    return { message: 'is empty: write analysisMarker and responseMarker, or expression and example' };
  if (analysisMarker === undefined) return { message: 'analysisMarker is missing: what opens the analysis' };
  if (responseMarker === undefined) return { message: 'responseMarker is missing: what opens the final response' };
  if (analysisMarker.trim() === '') return { key: 'analysisMarker', message: 'is blank: write a text' };
  if (responseMarker.trim() === '') return { key: 'responseMarker', message: 'is blank: write a text' };
  if (analysisMarker.includes(responseMarker.trim()) || responseMarker.includes(analysisMarker.trim()))
    return { key: 'responseMarker', message: 'one marker is part of the other: choose two that can be told apart' };
  return undefined;
}

function expressionProblem(
  expression: string,
  example: string | undefined,
): { key?: keyof ChainPattern; message: string } | undefined {
  const wrong = (message: string) => ({ key: 'expression' as const, message });
  try {
    wholeExpression(expression);
  } catch (error) {
    return wrong(`is no regular expression (${(error as Error).message}): correct it`);
  }
  for (const group of ['analysis', 'response']) {
    if (!expression.includes(`(?<${group}>`)) return wrong(`has no group (?<${group}>...): add it`);
  }
  const backtracking = backtrackingProblem(expression);
  if (backtracking) return wrong(backtracking);
  if (example === undefined)
    return { message: 'example is missing: how a chain is written, with {analysis} and {response}' };
  for (const part of ['{analysis}', '{response}']) {
    if (example.split(part).length !== 2)
      return { key: 'example', message: `needs ${part} exactly once: it is where that part is put` };
  }
  const pattern: ChainPattern = { expression, example };
  try {
    const given = parsePattern(formatPattern(...sampleParts, pattern), pattern);
    if (given.analysis !== sampleParts[0] || given.finalResponse !== sampleParts[1])
      return { key: 'example', message: 'is not what `expression` matches with these two parts: change one of them' };
    for (const text of longTexts(example)) boundedExec(wholeExpression(expression), text, mostTrialMs);
  } catch (error) {
    if (!(error instanceof PatternTooSlow)) throw error;
    return wrong(
      'takes too long on long chains that it does not match: use fewer parts of unlimited length, or what they may not hold ([^\\n]* in place of .*)',
    );
  }
  return undefined;
}

const sampleParts = ['It asks about a cake.\nNothing speaks against it.', 'Mix flour and eggs.\n\nThen bake.'] as const;

const longest = 16_384;
const mostTrialMs = 250;

/** Chains as a policy caught in a loop writes them: long, and almost what the expression looks for. */
function* longTexts(example: string): Iterable<string> {
  const [before = '', between = '', after = ''] = example.split(/\{analysis\}|\{response\}/);
  const long = (piece: string) => piece.repeat(Math.ceil(longest / piece.length)).slice(0, longest);
  for (const piece of ['a', 'so I decline. ', '\n', ' ', before, between, after].filter((one) => one !== '')) {
    yield `${before}${long(piece)}`;
    yield `${before}a${between}${long(piece)}\0`;
  }
}

function parseMarkers(text: string, { analysisMarker, responseMarker }: Markers): ParsedChain {
  const places = (marker: string) => {
    const found: { start: number; end: number }[] = [];
    for (let start = text.indexOf(marker); start >= 0; start = text.indexOf(marker, start + marker.length))
      found.push({ start, end: start + marker.length });
    return found;
  };
  const marks = [analysisMarker.trim(), responseMarker.trim()] as const;
  return splitAtMarks(text, { name: marks[0], places: places(marks[0]) }, { name: marks[1], places: places(marks[1]) });
}

interface Markers {
  analysisMarker: string;
  responseMarker: string;
}

function markersOf({ analysisMarker, responseMarker }: ChainPattern): Markers {
  if (analysisMarker === undefined || responseMarker === undefined)
    throw new Error('chain.pattern has neither two markers nor an expression: write analysisMarker and responseMarker');
  return { analysisMarker, responseMarker };
}

/** Both parts at once: an analysis may hold "{response}". */
function fillExample(example: string, analysis: string, response: string): string {
  return example.replace(/\{(analysis|response)\}/g, (_match, part) => (part === 'analysis' ? analysis : response));
}

const spaced = (marker: string): string => (/\s$/.test(marker) ? marker : `${marker} `);

const compiled = new Map<string, RegExp>();
function wholeExpression(expression: string): RegExp {
  let regular = compiled.get(expression);
  if (!regular) {
    // Alone first: "a)(?:b" would be a whole expression only inside of ours.
    new RegExp(expression, 'su');
    regular = new RegExp(`^(?:${expression})$`, 'su');
    compiled.set(expression, regular);
  }
  return regular;
}
