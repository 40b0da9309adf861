/** How the texts of a library name the two parts of a chain, in each chain format. */
import type { ChainFormat } from '../chains/chain.ts';
import { reasoningTags } from '../chains/reasoningTurn.ts';

/**
 * A text of the library with the chain format in it. Texts name the headings as {{analysisHeading}} and {{responseHeading}}, so that changing them in the
 * configuration is enough. Formats without headings take the place of `Under "{{analysisHeading}}"` as a whole ("Between "<think>" and "</think>""), and
 * elsewhere stand for a heading by the mark that opens the part.
 */
export function fillFormat(text: string, format: ChainFormat): string {
  const { analysis, response } = wordsOf(format);
  return fillPart(fillPart(text, 'analysisHeading', analysis), 'responseHeading', response);
}

/** Where a model writes a part, in words that follow a verb: `under "### Analysis"`. */
export function placesInWords(format: ChainFormat): { analysis: string; response: string } {
  const { analysis, response } = wordsOf(format);
  return { analysis: analysis.place, response: response.place };
}

interface PartWords {
  mark: string;
  place: string;
}

function wordsOf({ format, pattern, analysisHeading, responseHeading }: ChainFormat): {
  analysis: PartWords;
  response: PartWords;
} {
  if (format === 'think') {
    const [open, close] = reasoningTags;
    return {
      analysis: { mark: open, place: `between "${open}" and "${close}"` },
      response: { mark: close, place: `after "${close}"` },
    };
  }
  if (format === 'pattern' && pattern?.expression !== undefined) {
    return {
      analysis: { mark: '{analysis}', place: `as {analysis} of the form "${pattern.example ?? ''}"` },
      response: { mark: '{response}', place: 'as {response} of that form' },
    };
  }
  const after = (mark: string): PartWords => ({ mark, place: `after "${mark}"` });
  if (format === 'pattern')
    return {
      analysis: after(pattern?.analysisMarker?.trim() ?? ''),
      response: after(pattern?.responseMarker?.trim() ?? ''),
    };
  const under = (mark: string): PartWords => ({ mark, place: `under "${mark}"` });
  return { analysis: under(analysisHeading), response: under(responseHeading) };
}

function fillPart(text: string, name: 'analysisHeading' | 'responseHeading', { mark, place }: PartWords): string {
  return text
    .replace(new RegExp(`\\b([Uu])nder "\\{\\{${name}\\}\\}"`, 'g'), (_match, first: string) =>
      first === 'U' ? place.charAt(0).toUpperCase() + place.slice(1) : place,
    )
    .replaceAll(`{{${name}}}`, () => mark);
}
