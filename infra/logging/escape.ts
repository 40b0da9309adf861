/**
 * Control characters (C0 without line feed and tab, DEL, C1), line and paragraph separators, and the invisible characters that reorder
 * or hide text (not the joiners that scripts and emoji need): what a model or a dataset wrote must not move the cursor, retitle the window or hide a line.
 */
const UNSAFE =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e007f}]/gu;

/** Makes untrusted text safe to print: every unsafe character becomes its visible code (`\x1b`, `\u202e`); line ends become line feeds. */
export function escapeForTerminal(text: string): string {
  return text.replace(/\r\n/g, '\n').replace(UNSAFE, (character) => {
    const code = character.codePointAt(0) as number;
    if (code <= 0xff) return `\\x${code.toString(16).padStart(2, '0')}`;
    return code <= 0xffff ? `\\u${code.toString(16).padStart(4, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** The same for the text of a JSON document, which stays the same document: unsafe characters can only stand in its texts. */
export function escapeUnsafe(json: string): string {
  return json.replace(UNSAFE, (character) =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
}
