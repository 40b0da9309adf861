/** The language of a text, by its trigrams. */
import { franc } from 'franc';

/** ISO 639-1, as IFEval names languages, to ISO 639-3, as franc does. */
const languages: Readonly<Record<string, string[]>> = {
  ar: ['arb'],
  bg: ['bul'],
  bn: ['ben'],
  de: ['deu'],
  en: ['eng'],
  es: ['spa'],
  fa: ['pes', 'prs'],
  fi: ['fin'],
  fr: ['fra'],
  gu: ['guj'],
  he: ['heb'],
  hi: ['hin'],
  it: ['ita'],
  ja: ['jpn'],
  kn: ['kan'],
  ko: ['kor'],
  ml: ['mal'],
  mr: ['mar'],
  ne: ['nep'],
  pa: ['pan'],
  pl: ['pol'],
  pt: ['por'],
  ru: ['rus'],
  sw: ['swh'],
  ta: ['tam'],
  te: ['tel'],
  th: ['tha'],
  uk: ['ukr'],
  ur: ['urd'],
  vi: ['vie'],
  zh: ['cmn'],
};

const known = Object.values(languages).flat();

/** ISO 639-3 code of the likeliest language among IFEval's and Chinese; 'und' where the text is too short to tell. */
export function languageOf(text: string): string {
  return franc(text, { only: known, minLength: 8 });
}

/** Whether a text is in a language (ISO 639-1); a text too short to tell counts as right, as in the reference. */
export function languageIs(text: string, language: string): boolean {
  const found = languageOf(text);
  return found === 'und' || (languages[language] ?? [language]).includes(found);
}

/** Trigrams tell small differences of language badly in capitals: lower case is looked at. */
export function looksEnglish(text: string): boolean {
  return languageIs(text.toLowerCase(), 'en');
}
