import type { ChainFormat } from '../alignment/chains/chain.ts';

/** What a step key says of the chain format; settings that are absent are no part of it, so that keys from before they were there still hold. */
export function formatInputs({ analysisHeading, responseHeading, format, pattern, thinking }: ChainFormat) {
  return {
    headings: [analysisHeading, responseHeading],
    ...(format === undefined ? {} : { format }),
    ...(pattern === undefined ? {} : { pattern }),
    ...(thinking === undefined ? {} : { thinking }),
  };
}
