/**
 * Where @huggingface/tokenizers 0.2.0 splits text otherwise than the Rust library that models were trained with, its patterns are replaced:
 * - Digits: Rust takes every numeric character (superscripts, fractions, Roman numerals), JavaScript's \d only decimal ASCII digits;
 * - ByteLevel: JavaScript's \s counts U+FEFF as white space and leaves out U+0085, Rust's goes by Unicode's White_Space.
 * And a decoder: of byte tokens (SentencePiece's `<0xE2>`) that are not UTF-8, Rust shows each byte as U+FFFD, TextDecoder each sequence.
 */

/** What is used of the library's pre-tokenizers, whose own declarations do not resolve for ES modules. */
export interface PreTokenizer {
  config?: { type?: string; individual_digits?: boolean };
  pattern?: RegExp | null;
  /** Metaspace only. */
  prepend_scheme?: string;
  /** Sequence only. */
  tokenizers?: (PreTokenizer | null)[];
}

export function mendPreTokenizer(preTokenizer: PreTokenizer | null): void {
  for (const part of parts(preTokenizer)) {
    if (part.config?.type === 'Digits') {
      part.pattern = part.config.individual_digits ? /\P{N}+|\p{N}/gu : /\P{N}+|\p{N}+/gu;
    } else if (part.config?.type === 'ByteLevel') {
      part.pattern =
        /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
    }
  }
}

/** Metaspace's scheme "first" puts a space before the first section of a text only; sections are cut here, outside of the library. */
export function setFirstSection(preTokenizer: PreTokenizer | null, first: boolean): void {
  for (const part of parts(preTokenizer)) {
    if (part.prepend_scheme === 'first') firstOnly.add(part);
    if (firstOnly.has(part)) part.prepend_scheme = first ? 'always' : 'never';
  }
}

const firstOnly = new WeakSet<object>();

function parts(preTokenizer: PreTokenizer | null): PreTokenizer[] {
  if (!preTokenizer) return [];
  return preTokenizer.tokenizers ? preTokenizer.tokenizers.flatMap(parts) : [preTokenizer];
}

/** What is used of the library's decoders. */
export interface TokenDecoder {
  config?: { type?: string };
  decode_chain(tokens: string[]): string[];
  /** Sequence only. */
  decoders?: (TokenDecoder | null)[];
}

export function mendDecoder(decoder: TokenDecoder | null): void {
  for (const part of decoder?.decoders ?? []) mendDecoder(part);
  if (decoder?.config?.type === 'ByteFallback') decoder.decode_chain = byteFallback;
}

/** Neighbouring byte tokens as the text that they spell; tokenizers/src/decoders/byte_fallback.rs. */
function byteFallback(tokens: string[]): string[] {
  const result: string[] = [];
  let bytes: number[] = [];
  const flush = () => {
    if (bytes.length > 0) result.push(...textOf(bytes));
    bytes = [];
  };
  for (const token of tokens) {
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
    if (byte !== undefined) bytes.push(Number.parseInt(byte, 16));
    else {
      flush();
      result.push(token);
    }
  }
  flush();
  return result;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(bytes: readonly number[]): string[] {
  try {
    return [strictUtf8.decode(Uint8Array.from(bytes))];
  } catch {
    return bytes.map(() => '\ufffd');
  }
}
