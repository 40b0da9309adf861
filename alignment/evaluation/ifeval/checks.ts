/**
 * IFEval's verifiable instructions (Zhou et al. 2023, arXiv:2311.07911): one check an instruction, by its id. Sentences are told by Intl.Segmenter and
 * languages by franc, where the reference uses NLTK's Punkt and langdetect: docs/evaluation.md says how far they agree.
 */
import { languageIs, looksEnglish } from '../../texts/language.ts';
import { countSentences, isAllCapitals, isAllLowercase, wordsOf } from '../../texts/words.ts';

/** Arguments of an instruction, as the benchmark's file has them; null and absent are the same. */
export type InstructionArguments = Readonly<Record<string, unknown>>;

type Check = (response: string, given: InstructionArguments) => boolean;

export const instructionChecks: Readonly<Record<string, Check>> = {
  'keywords:existence': (response, given) => texts(given, 'keywords').every((keyword) => found(keyword, response)),
  'keywords:frequency': (response, given) =>
    related(matches(text(given, 'keyword').trim(), response), text(given, 'relation'), number(given, 'frequency')),
  'keywords:forbidden_words': (response, given) =>
    texts(given, 'forbidden_words').every((word) => !pattern(`\\b${word}\\b`, 'i').test(response)),
  'keywords:letter_frequency': (response, given) => {
    const letter = text(given, 'letter').trim().toLowerCase();
    const count = [...response.toLowerCase()].filter((one) => one === letter).length;
    return related(count, text(given, 'let_relation'), number(given, 'let_frequency'));
  },
  'language:response_language': (response, given) => languageIs(response, text(given, 'language')),
  'length_constraints:number_sentences': (response, given) =>
    related(countSentences(response), text(given, 'relation'), number(given, 'num_sentences')),
  'length_constraints:number_words': (response, given) =>
    related(wordsOf(response).length, text(given, 'relation'), number(given, 'num_words')),
  'length_constraints:number_paragraphs': (response, given) => {
    const paragraphs = response.split(/\s?\*\*\*\s?/);
    const inner = paragraphs.slice(1, -1);
    if (inner.some(isBlank)) return false;
    return paragraphs.filter((one) => !isBlank(one)).length === number(given, 'num_paragraphs');
  },
  'length_constraints:nth_paragraph_first_word': (response, given) => {
    const paragraphs = response.split('\n\n');
    const count = paragraphs.filter((one) => !isBlank(one)).length;
    const nth = number(given, 'nth_paragraph');
    const paragraph = nth <= count ? paragraphs[nth - 1]!.trim() : '';
    if (paragraph === '' || count !== number(given, 'num_paragraphs')) return false;
    const word = paragraph.split(/\s+/)[0]!.replace(/^'+/, '').replace(/^"+/, '');
    return word.split(/[.,?!'"]/)[0]!.toLowerCase() === text(given, 'first_word').toLowerCase();
  },
  'detectable_content:number_placeholders': (response, given) =>
    (response.match(/\[.*?\]/g) ?? []).length >= number(given, 'num_placeholders'),
  'detectable_content:postscript': (response, given) => {
    const marker = text(given, 'postscript_marker').trim();
    const lower = response.toLowerCase();
    if (marker === 'P.P.S') return /p\.\s?p\.\s?s/.test(lower);
    return marker === 'P.S.' ? /p\.\s?s\./.test(lower) : pattern(marker.toLowerCase(), '').test(lower);
  },
  'detectable_format:number_bullet_lists': (response, given) =>
    (response.match(/^\s*\*[^*].*$/gm) ?? []).length + (response.match(/^\s*-.*$/gm) ?? []).length ===
    number(given, 'num_bullets'),
  'detectable_format:constrained_response': (response) =>
    ['My answer is yes.', 'My answer is no.', 'My answer is maybe.'].some((option) => response.includes(option)),
  'detectable_format:number_highlighted_sections': (response, given) => {
    const single = (response.match(/\*[^\n*]*\*/g) ?? []).filter((one) => one.replaceAll('*', '').trim() !== '');
    const double = (response.match(/\*\*[^\n*]*\*\*/g) ?? []).filter((one) => one.slice(2, -2).trim() !== '');
    return single.length + double.length >= number(given, 'num_highlights');
  },
  'detectable_format:multiple_sections': (response, given) =>
    response.split(pattern(`\\s?${text(given, 'section_spliter').trim()}\\s?\\d+\\s?`, '')).length - 1 >=
    number(given, 'num_sections'),
  'detectable_format:json_format': (response) => {
    const body = response
      .trim()
      .replace(/^```(?:json|Json|JSON)?/, '')
      .replace(/```$/, '');
    try {
      JSON.parse(body);
      return true;
    } catch {
      return false;
    }
  },
  'detectable_format:title': (response) =>
    (response.match(/<<[^\n]+>>/g) ?? []).some((title) => title.replace(/^<+|>+$/g, '').trim() !== ''),
  'combination:two_responses': (response) => {
    const parts = response.split('******');
    if (parts.slice(1, -1).some(isBlank)) return false;
    const answers = parts.filter((part) => !isBlank(part));
    return answers.length === 2 && answers[0]!.trim() !== answers[1]!.trim();
  },
  'combination:repeat_prompt': (response, given) =>
    response.trim().toLowerCase().startsWith(text(given, 'prompt_to_repeat').trim().toLowerCase()),
  'startend:end_checker': (response, given) =>
    response
      .trim()
      .replace(/^"+|"+$/g, '')
      .toLowerCase()
      .endsWith(text(given, 'end_phrase').trim().toLowerCase()),
  'startend:quotation': (response) => /^"[^]*"$/.test(response.trim()) && response.trim().length > 1,
  'change_case:english_capital': (response) => isAllCapitals(response) && looksEnglish(response),
  'change_case:english_lowercase': (response) => isAllLowercase(response) && looksEnglish(response),
  'change_case:capital_word_frequency': (response, given) => {
    // Hyphenated words count as one; NLTK splits "I'M" in two.
    const words = response.match(/[\p{L}\p{N}][\p{L}\p{N}-]*|'\p{L}+/gu) ?? [];
    return related(
      words.filter(isAllCapitals).length,
      text(given, 'capital_relation'),
      number(given, 'capital_frequency'),
    );
  },
  'punctuation:no_comma': (response) => !response.includes(','),
};

const isBlank = (part: string): boolean => part.trim() === '';

/** `less than` or `at least`, the only relations there are. */
function related(count: number, relation: string, limit: number): boolean {
  return relation === 'less than' ? count < limit : count >= limit;
}

/** Keywords are regular expressions to the reference; ones that are none are taken as they are. */
function pattern(source: string, flags: string): RegExp {
  try {
    return new RegExp(source, flags);
  } catch {
    return new RegExp(source.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), flags);
  }
}

const found = (keyword: string, response: string): boolean => pattern(keyword, 'i').test(response);
const matches = (keyword: string, response: string): number => [...response.matchAll(pattern(keyword, 'gi'))].length;

function text(given: InstructionArguments, name: string): string {
  const value = given[name];
  if (typeof value !== 'string') throw new Error(`argument "${name}" is not a text`);
  return value;
}

function texts(given: InstructionArguments, name: string): string[] {
  const value = given[name];
  if (!Array.isArray(value)) throw new Error(`argument "${name}" is not a list`);
  return value.map(String);
}

function number(given: InstructionArguments, name: string): number {
  const value = given[name];
  if (typeof value !== 'number') throw new Error(`argument "${name}" is not a number`);
  return value;
}
