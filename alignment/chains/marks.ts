/** Splits a chain at two marks, the one that opens its analysis and the one that opens its final response. */

export interface ParsedChain {
  /** Text of the analysis; empty where it can't be told. */
  analysis: string;
  /** What is judged and shown to users; the whole text where its mark is missing. */
  finalResponse: string;
  format: boolean;
  /** Why `format` is false, in words; empty when it is true. */
  problems: string[];
}

export interface Mark {
  name: string;
  /** Where it stands in the text, in order. */
  places: readonly { start: number; end: number }[];
}

/** The final response is everything after its first mark, so nothing that a reader would see is kept from the judge. */
export function splitAtMarks(text: string, analysisMark: Mark, responseMark: Mark): ParsedChain {
  const problems = [...countProblems(analysisMark), ...countProblems(responseMark)];
  const [analysis, response] = [analysisMark.places[0], responseMark.places[0]];
  const finalResponse = (response ? text.slice(response.end) : text).trim();
  const inOrder = analysis !== undefined && response !== undefined && analysis.start < response.start;
  const analysisText = inOrder ? text.slice(analysis.end, response.start).trim() : '';

  if (analysis && response && !inOrder) {
    problems.push(`"${responseMark.name}" comes before "${analysisMark.name}"`);
  }
  if (inOrder && text.slice(0, analysis.start).trim() !== '') {
    problems.push(`text before "${analysisMark.name}"`);
  }
  if (inOrder && analysisText === '') problems.push('the analysis is empty');
  if (response && finalResponse === '') problems.push('the final response is empty');
  return { analysis: analysisText, finalResponse, format: problems.length === 0, problems };
}

function countProblems({ name, places }: Mark): string[] {
  if (places.length === 0) return [`no "${name}"`];
  return places.length > 1 ? [`"${name}" ${places.length} times`] : [];
}
